// Parses sequence and frame headers up to the reference list and tracks which packet last wrote
// each of the eight slots.
#include "video/decode/av1_references.h"

#include <algorithm>

namespace streamo::video {
namespace {

enum Obu : uint32_t { kSequenceHeader = 1, kFrameHeader = 3, kFrame = 6 };
enum FrameType : uint32_t { kKey = 0, kIntraOnly = 2, kSwitch = 3 };  // 1: inter

constexpr int kSelect = 2;  // "each frame says"
constexpr uint32_t kAllSlots = 0xff;
constexpr int kReferencesPerFrame = 7;
constexpr uint32_t kLastLevelWithoutTier = 7;

// leb128(), 4.10.5. `at` moves behind it.
size_t read_leb128(Bytes bytes, size_t& at) {
  uint64_t value = 0;
  for (int i = 0; i < 8 && at < bytes.size(); ++i) {
    const uint8_t byte = bytes[at++];
    value |= uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80) == 0) break;
  }
  return static_cast<size_t>(std::min<uint64_t>(value, bytes.size()));
}

}  // namespace

// 5.5.1, as far as frame headers need it.
Av1References::Sequence Av1References::read_sequence(BitReader& bits) {
  Sequence sequence;
  bits.bits(3 + 1);
  sequence.still = bits.flag();
  if (sequence.still) {
    bits.bits(5);
    sequence.points.emplace_back();
  } else {
    int delay_bits = 0;
    if (bits.flag()) {  // timing_info
      bits.bits(32);
      bits.bits(32);
      sequence.equal_interval = bits.flag();
      if (sequence.equal_interval) bits.exp_golomb();  // uvlc() is the same code
      sequence.decoder_model = bits.flag();
      if (sequence.decoder_model) {
        delay_bits = static_cast<int>(bits.bits(5)) + 1;
        bits.bits(32);
        sequence.removal_time_bits = static_cast<int>(bits.bits(5)) + 1;
        sequence.presentation_time_bits = static_cast<int>(bits.bits(5)) + 1;
      }
    }
    const bool display_delays = bits.flag();
    read_points(bits, display_delays, delay_bits, sequence);
  }
  const auto width_bits = static_cast<int>(bits.bits(4)) + 1;
  const auto height_bits = static_cast<int>(bits.bits(4)) + 1;
  bits.bits(width_bits);
  bits.bits(height_bits);
  sequence.frame_ids = !sequence.still && bits.flag();
  if (sequence.frame_ids) {
    sequence.delta_id_bits = static_cast<int>(bits.bits(4)) + 2;
    sequence.id_bits = static_cast<int>(bits.bits(3)) + sequence.delta_id_bits + 1;
  }
  bits.bits(3);  // superblock size, intra tools
  sequence.screen_content = sequence.integer_mv = kSelect;
  if (sequence.still) return sequence;
  bits.bits(4);  // compound, warped motion and filter tools
  sequence.order_hint = bits.flag();
  if (sequence.order_hint) bits.bits(2);
  if (!bits.flag()) sequence.screen_content = bits.flag() ? 1 : 0;
  if (sequence.screen_content > 0 && !bits.flag()) sequence.integer_mv = bits.flag() ? 1 : 0;
  if (sequence.order_hint) sequence.order_hint_bits = static_cast<int>(bits.bits(3)) + 1;
  return sequence;
}

void Av1References::read_points(BitReader& bits, bool delays, int delay_bits, Sequence& sequence) {
  const uint32_t count = bits.bits(5) + 1;
  for (uint32_t i = 0; i < count; ++i) {
    Sequence::Point point{.idc = bits.bits(12)};
    if (bits.bits(5) > kLastLevelWithoutTier) bits.bits(1);
    point.decoder_model = sequence.decoder_model && bits.flag();
    if (point.decoder_model) {
      bits.bits(delay_bits);
      bits.bits(delay_bits);
      bits.bits(1);
    }
    if (delays && bits.flag()) bits.bits(4);
    sequence.points.push_back(point);
  }
}

void Av1References::read_header(Bytes obus) {
  Packet none;
  read_obus(obus, none);
}

std::optional<Av1References::Packet> Av1References::next(Bytes bytes) {
  Packet packet;
  frame_seen_ = false;
  lost_ = lost_ || !read_obus(bytes, packet) || !frame_seen_;
  ++number_;
  if (lost_) return std::nullopt;
  std::sort(packet.references.begin(), packet.references.end());
  packet.references.erase(std::unique(packet.references.begin(), packet.references.end()),
                          packet.references.end());
  return packet;
}

// 5.3
bool Av1References::read_obus(Bytes obus, Packet& packet) {
  for (size_t at = 0; at < obus.size();) {
    const uint8_t header = obus[at++];
    const bool extended = (header & 4) != 0, sized = (header & 2) != 0;
    Layer layer;
    if (extended && at < obus.size()) {
      layer = {uint32_t{obus[at]} >> 5, uint32_t{obus[at]} >> 3 & 3};
      ++at;
    }
    const size_t size = sized ? read_leb128(obus, at) : obus.size() - at;
    if (size > obus.size() - at) return false;
    BitReader bits(obus.subspan(at, size));
    const uint32_t type = header >> 3 & 15;
    if (type == kSequenceHeader) {
      sequence_ = read_sequence(bits);
    } else if (type == kFrameHeader || type == kFrame) {
      if (!read_frame(bits, layer, packet)) return false;
    }
    if (bits.past_end()) return false;
    at += size;
  }
  return true;
}

void Av1References::refer_to(uint32_t slot, Packet& packet) {
  const std::optional<uint32_t> kept = slots_[slot].packet;
  if (kept && *kept != number_) packet.references.push_back(*kept);
}

// uncompressed_header(), 5.9.2, to the references.
bool Av1References::read_frame(BitReader& bits, Layer layer, Packet& packet) {
  if (!sequence_) return false;
  const Sequence& sequence = *sequence_;
  const bool first = !frame_seen_;
  frame_seen_ = true;
  if (sequence.still) {
    packet.key = first;
    return true;
  }
  if (bits.flag()) return show_kept(bits, packet);
  const uint32_t type = bits.bits(2);
  const bool shown = bits.flag();
  if (shown && sequence.decoder_model && !sequence.equal_interval) {
    bits.bits(sequence.presentation_time_bits);
  }
  if (!shown) bits.bits(1);
  const bool resets = type == kSwitch || (type == kKey && shown);
  const bool resilient = resets || bits.flag();
  const bool intra = type == kKey || type == kIntraOnly;
  bits.bits(1);
  skip_screen_content_and_id(bits);
  if (type != kSwitch) bits.bits(1);
  bits.bits(sequence.order_hint_bits);
  if (!intra && !resilient) bits.bits(3);  // the primary reference, one of those that follow
  skip_removal_times(bits, layer);
  const uint32_t refreshed = resets ? kAllSlots : bits.bits(kSlots);
  if ((!intra || refreshed != kAllSlots) && resilient && sequence.order_hint) {
    for (int i = 0; i < kSlots; ++i) bits.bits(sequence.order_hint_bits);
  }
  if (!intra && !read_slots(bits, packet)) return false;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    if ((refreshed >> slot & 1) != 0) slots_[slot] = {number_, type == kKey};
  }
  packet.key = packet.key || (first && type == kKey && shown);
  return true;
}

// show_existing_frame: a key frame so shown fills all slots (7.21).
bool Av1References::show_kept(BitReader& bits, Packet& packet) {
  const uint32_t slot = bits.bits(3);
  refer_to(slot, packet);
  if (slots_[slot].key) slots_.fill({number_, true});
  return true;
}

void Av1References::skip_screen_content_and_id(BitReader& bits) const {
  const bool screen_content =
      sequence_->screen_content == kSelect ? bits.flag() : sequence_->screen_content != 0;
  if (screen_content && sequence_->integer_mv == kSelect) bits.bits(1);
  if (sequence_->frame_ids) bits.bits(sequence_->id_bits);
}

void Av1References::skip_removal_times(BitReader& bits, Layer layer) const {
  if (!sequence_->decoder_model || !bits.flag()) return;
  for (const Sequence::Point& point : sequence_->points) {
    const bool in_layers =
        (point.idc >> layer.temporal & 1) != 0 && (point.idc >> (layer.spatial + 8) & 1) != 0;
    if (point.decoder_model && (point.idc == 0 || in_layers)) {
      bits.bits(sequence_->removal_time_bits);
    }
  }
}

bool Av1References::read_slots(BitReader& bits, Packet& packet) {
  // frame_refs_short_signaling: no encoder in use writes it
  if (sequence_->order_hint && bits.flag()) return false;
  for (int i = 0; i < kReferencesPerFrame; ++i) {
    refer_to(bits.bits(3), packet);
    if (sequence_->frame_ids) bits.bits(sequence_->delta_id_bits);
  }
  return true;
}

}  // namespace streamo::video
