// Length-prefixed and start-code framing, emulation prevention bytes, and Exp-Golomb numbers.
#include "video/decode/nal_units.h"

#include <cstring>

namespace streamo::video {
namespace {

constexpr size_t kStartCodeSize = 3;

// The place of 00 00 01; the size when there is none.
size_t find_start_code(Bytes bytes) {
  for (size_t at = 2; at < bytes.size(); ++at) {
    const void* one = std::memchr(bytes.data() + at, 1, bytes.size() - at);
    if (one == nullptr) break;
    at = static_cast<size_t>(static_cast<const uint8_t*>(one) - bytes.data());
    if (bytes[at - 1] == 0 && bytes[at - 2] == 0) return at - 2;
  }
  return bytes.size();
}

}  // namespace

// avcC (ISO/IEC 14496-15 5.3.3.1) and hvcC (8.3.3.1) begin with version 1; parameter sets in
// Annex B begin with a start code's zero.
int nal_length_size(const AVCodecParameters& codec) {
  const bool hevc = codec.codec_id == AV_CODEC_ID_HEVC;
  const int place = hevc ? 21 : 4;
  if (codec.extradata == nullptr || codec.extradata_size <= place || codec.extradata[0] != 1) {
    return 0;
  }
  return (codec.extradata[place] & 3) + 1;
}

std::vector<Bytes> stored_parameter_sets(const AVCodecParameters& codec) {
  std::vector<Bytes> sets;
  if (codec.extradata_size <= 0) return sets;
  const Bytes stored(codec.extradata, static_cast<size_t>(codec.extradata_size));
  if (nal_length_size(codec) == 0) {
    NalUnits units(stored, 0);
    while (const auto unit = units.next()) sets.push_back(*unit);
    return sets;
  }
  const bool hevc = codec.codec_id == AV_CODEC_ID_HEVC;
  size_t at = hevc ? 22 : 5;
  const auto byte = [&] { return at < stored.size() ? size_t{stored[at++]} : size_t{0}; };
  const auto take = [&](size_t count) {
    for (; count > 0; --count) {
      const size_t high = byte();
      const size_t length = high << 8 | byte();
      if (length > stored.size() - at) return;
      sets.push_back(stored.subspan(at, length));
      at += length;
    }
  };
  if (hevc) {  // arrays of units of one type
    for (size_t arrays = byte(); arrays > 0; --arrays) {
      byte();
      const size_t high = byte();
      take(high << 8 | byte());
    }
  } else {  // sequences, then pictures
    take(byte() & 31);
    take(byte());
  }
  return sets;
}

std::optional<Bytes> NalUnits::next() {
  if (length_size_ == 0) return next_by_start_code();
  const auto prefix = static_cast<size_t>(length_size_);
  if (rest_.size() <= prefix) return std::nullopt;
  size_t length = 0;
  for (size_t i = 0; i < prefix; ++i) length = length << 8 | rest_[i];
  rest_ = rest_.subspan(prefix);
  if (length == 0 || length > rest_.size()) return std::nullopt;
  const Bytes unit = rest_.first(length);
  rest_ = rest_.subspan(length);
  return unit;
}

std::optional<Bytes> NalUnits::next_by_start_code() {
  const size_t start = find_start_code(rest_);
  if (rest_.size() <= start + kStartCodeSize) return std::nullopt;
  rest_ = rest_.subspan(start + kStartCodeSize);
  const Bytes unit = rest_.first(find_start_code(rest_));
  rest_ = rest_.subspan(unit.size());
  return unit;
}

std::vector<uint8_t> unescaped(Bytes unit) {
  std::vector<uint8_t> plain;
  plain.reserve(unit.size());
  int zeros = 0;
  for (const uint8_t byte : unit) {
    if (zeros >= 2 && byte == 3) {
      zeros = 0;
      continue;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    plain.push_back(byte);
  }
  return plain;
}

uint32_t BitReader::bits(int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i, ++position_) {
    const size_t byte = position_ / 8;
    const uint32_t bit = byte < bytes_.size() ? (bytes_[byte] >> (7 - position_ % 8)) & 1U : 0U;
    value = value << 1 | bit;
  }
  return value;
}

uint32_t BitReader::exp_golomb() {
  int zeros = 0;
  while (!flag()) {
    if (++zeros == 32 || past_end()) return 0;  // damage: no such number
  }
  return (uint32_t{1} << zeros) - 1 + bits(zeros);
}

}  // namespace streamo::video
