// Which earlier packets of an HEVC stream a packet refers to: each picture names those it may use.
// Source: Rec. ITU-T H.265, sections 7.3.2, 7.3.6, 7.4.8 and 8.3.2.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "video/decode/nal_units.h"

namespace streamo::video {

// Units are given without their emulation prevention, but with their header of two bytes.
class HevcReferences {
 public:
  struct Picture {
    bool shown = true;
    // Numbers of earlier packets. None: it uses long-term references, or such as are missing.
    std::optional<std::vector<uint32_t>> references;
  };

  void read_sequence_parameters(Bytes unit);
  void read_picture_parameters(Bytes unit);

  // `unit`: the first slice of packet `number`; `order`: its picture order count.
  Picture read_slice(Bytes unit, int order, uint32_t number);

 private:
  struct Reference {
    int delta = 0;  // to the picture's own order count
    bool used = false;
  };
  struct ReferenceSet {
    std::vector<Reference> before, after;  // nearest first
  };
  struct Sequence {
    bool separate_planes = false, long_term = false;
    bool long_term_listed = false;  // some of them in the sequence's parameters
    int order_bits = 0;
    std::vector<ReferenceSet> sets;
  };
  struct PictureParameters {
    uint32_t sequence = 0;
    bool output_flag = false;
    int extra_bits = 0;
  };
  using Kept = std::vector<std::pair<int, uint32_t>>;  // order count and packet

  static std::optional<Sequence> parse_sequence(BitReader& bits, uint32_t layers);
  static void skip_profile(BitReader& bits, uint32_t layers);
  static void skip_scaling_lists(BitReader& bits);
  static std::optional<ReferenceSet> parse_set(BitReader& bits,
                                               const std::vector<ReferenceSet>& sets, size_t count);
  static std::optional<ReferenceSet> predict_set(BitReader& bits,
                                                 const std::vector<ReferenceSet>& sets,
                                                 size_t count);
  std::optional<std::vector<uint32_t>> refer(const ReferenceSet& set, int order, int type);

  std::unordered_map<uint32_t, Sequence> sequences_;
  std::unordered_map<uint32_t, PictureParameters> pictures_;
  Kept kept_;  // what the decoder keeps for reference
};

}  // namespace streamo::video
