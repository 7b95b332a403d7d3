// The units a packet of H.264 or HEVC consists of, and numbers within them.
#pragma once

extern "C" {
#include <libavcodec/codec_par.h>
}

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace streamo::video {

using Bytes = std::span<const uint8_t>;

// How units are told apart: by a length of 1, 2 or 4 bytes before each (MP4, Matroska), or, 0, by
// start codes (Annex B: transport streams, raw files). From the stream's extradata.
int nal_length_size(const AVCodecParameters& codec);

// The parameter sets that stand apart from the packets, in the extradata.
std::vector<Bytes> stored_parameter_sets(const AVCodecParameters& codec);

// Goes through the units of one packet, in order. A length beyond the packet's end ends it.
class NalUnits {
 public:
  NalUnits(Bytes packet, int length_size) : rest_(packet), length_size_(length_size) {}

  std::optional<Bytes> next();  // header included; nullopt after the last

 private:
  std::optional<Bytes> next_by_start_code();
  Bytes rest_;
  int length_size_;
};

// Without the emulation prevention: 00 00 03 -> 00 00 (H.264 7.3.1, HEVC 7.3.1.1).
std::vector<uint8_t> unescaped(Bytes unit);

// Reads bits from the highest on; zeros after the end.
class BitReader {
 public:
  explicit BitReader(Bytes bytes) : bytes_(bytes) {}

  uint32_t bits(int count);  // at most 32
  bool flag() { return bits(1) != 0; }
  uint32_t exp_golomb();  // ue(v) of H.264 9.1
  bool past_end() const { return position_ > bytes_.size() * 8; }

 private:
  Bytes bytes_;
  size_t position_ = 0;
};

}  // namespace streamo::video
