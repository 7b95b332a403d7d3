// Which earlier packets of a VP9 stream a packet needs: those whose pictures it refers to, and
// those that left what its decoding begins with (probabilities, motion, segments, filter
// strengths). Source: VP9 Bitstream & Decoding Process Specification, sections 6.2, 7.2 and Annex
// B.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "video/decode/nal_units.h"

namespace streamo::video {

class Vp9References {
 public:
  struct Packet {
    bool key = false;  // begins with a key frame
    int shown = 0;     // how many of its frames are shown
    // Earlier packets, ascending. None: not understood, and so not from then on.
    std::optional<std::vector<uint32_t>> references;
  };

  // The packets of the stream in their order.
  Packet next(Bytes packet);

 private:
  static constexpr int kSlots = 8, kContexts = 4;
  struct Header {
    bool show_existing = false, key = false, shown = false, resilient = false, intra_only = false;
    uint32_t slot_to_show = 0, refreshed = 0;  // slots: a number, a bit for each
    std::array<uint32_t, 3> slots{};           // of an inter frame's references
    uint32_t reset = 0, context = 0;
    bool refresh_context = false;
  };

  static std::optional<Header> read_header(Bytes frame);
  static bool read_colours(BitReader& bits, uint32_t profile);
  static void read_inter(BitReader& bits, Header& header);
  void follow(const Header& header, std::vector<uint32_t>& references);
  void read_state(const Header& header, std::vector<uint32_t>& references) const;
  void write_state(const Header& header);

  // Numbers of packets.
  std::array<uint32_t, kSlots> slots_{};        // whose picture is kept there
  std::array<uint32_t, kContexts> contexts_{};  // who last wrote these probabilities
  std::optional<uint32_t> intra_;               // the last key or intra-only frame's
  std::vector<uint32_t> last_;  // the last decoded frame's, and those of frames shown again since
  uint32_t number_ = 0;         // of the packet being read
  bool lost_ = false;
};

}  // namespace streamo::video
