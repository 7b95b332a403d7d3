// Which earlier packets of an AV1 stream a packet refers to. AV1 says so in its headers, for all
// that is kept from one frame to another: pictures, motion, probabilities, segments, grain. Source:
// AV1 Bitstream & Decoding Process Specification, sections 5.3 to 5.9.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "video/decode/nal_units.h"

namespace streamo::video {

class Av1References {
 public:
  struct Packet {
    bool key = false;                  // begins with a key frame that is shown
    std::vector<uint32_t> references;  // earlier packets, ascending
  };

  // The sequence header that stands apart from the packets (av1C); nothing where there is none.
  void read_header(Bytes obus);

  // The packets of the stream in their order. nullopt: not understood, and so not from then on.
  std::optional<Packet> next(Bytes packet);

 private:
  static constexpr int kSlots = 8;
  struct Sequence {
    bool still = false, decoder_model = false, equal_interval = false, frame_ids = false;
    bool order_hint = false;
    int removal_time_bits = 0, presentation_time_bits = 0, delta_id_bits = 0, id_bits = 0;
    int screen_content = 0, integer_mv = 0, order_hint_bits = 0;
    struct Point {
      uint32_t idc = 0;
      bool decoder_model = false;
    };
    std::vector<Point> points;
  };
  struct Layer {
    uint32_t temporal = 0, spatial = 0;
  };

  static Sequence read_sequence(BitReader& bits);
  static void read_points(BitReader& bits, bool delays, int delay_bits, Sequence& sequence);
  bool read_obus(Bytes obus, Packet& packet);
  bool read_frame(BitReader& bits, Layer layer, Packet& packet);
  bool show_kept(BitReader& bits, Packet& packet);
  void skip_screen_content_and_id(BitReader& bits) const;
  void skip_removal_times(BitReader& bits, Layer layer) const;
  bool read_slots(BitReader& bits, Packet& packet);
  void refer_to(uint32_t slot, Packet& packet);

  std::optional<Sequence> sequence_;
  struct Slot {
    std::optional<uint32_t> packet;  // whose picture is kept there
    bool key = false;
  };
  std::array<Slot, kSlots> slots_;
  uint32_t number_ = 0;      // of the packet being read
  bool frame_seen_ = false;  // in it
  bool lost_ = false;
};

}  // namespace streamo::video
