// Tracks slots, probability contexts and the previous frame's motion: a VP9 packet depends on all
// three.
#include "video/decode/vp9_references.h"

#include <algorithm>

namespace streamo::video {
namespace {

constexpr uint32_t kFrameMarker = 2, kSyncCode = 0x498342;
constexpr uint32_t kAllSlots = 0xff;
constexpr uint32_t kResetOne = 2, kResetAll = 3;  // reset_frame_context
constexpr int kSizeBits = 32;                     // width and height

// Annex B. One frame where there is no index; none where it is damaged.
std::vector<Bytes> split_superframe(Bytes packet) {
  constexpr uint8_t kSuperframeMarker = 0b110;
  const uint8_t marker = packet.empty() ? uint8_t{0} : packet.back();
  const size_t count = (marker & 7U) + 1, width = (marker >> 3 & 3U) + 1;
  const size_t index = 2 + count * width;
  if (marker >> 5 != kSuperframeMarker || packet.size() < index ||
      packet[packet.size() - index] != marker) {
    return {packet};
  }
  Bytes rest = packet.first(packet.size() - index);
  std::vector<Bytes> frames;
  for (size_t i = 0; i < count; ++i) {
    size_t size = 0;
    for (size_t byte = width; byte-- > 0;) {
      size = size << 8 | packet[packet.size() - index + 1 + i * width + byte];
    }
    if (size == 0 || size > rest.size()) return {};
    frames.push_back(rest.first(size));
    rest = rest.subspan(size);
  }
  return frames;
}

// render_size()
void skip_render_size(BitReader& bits) {
  if (bits.flag()) bits.bits(kSizeBits);
}

}  // namespace

Vp9References::Packet Vp9References::next(Bytes bytes) {
  Packet packet;
  std::vector<uint32_t> references;
  const std::vector<Bytes> frames = split_superframe(bytes);
  lost_ = lost_ || frames.empty();
  for (const Bytes frame : frames) {
    const std::optional<Header> header = read_header(frame);
    lost_ = lost_ || !header || (!header->key && !intra_);
    if (!header) continue;
    packet.key = packet.key || (header->key && frame.data() == frames.front().data());
    packet.shown += header->shown ? 1 : 0;
    if (!lost_) follow(*header, references);
  }
  if (!lost_) {
    std::sort(references.begin(), references.end());
    references.erase(std::unique(references.begin(), references.end()), references.end());
    if (!references.empty() && references.back() == number_) references.pop_back();
    packet.references = std::move(references);
  }
  ++number_;
  return packet;
}

// uncompressed_header(), 6.2, to the number of the frame context.
std::optional<Vp9References::Header> Vp9References::read_header(Bytes frame) {
  Header header;
  BitReader bits(frame);
  if (bits.bits(2) != kFrameMarker) return std::nullopt;
  const uint32_t low = bits.bits(1), profile = bits.bits(1) << 1 | low;
  if (profile == 3 && bits.flag()) return std::nullopt;
  header.show_existing = bits.flag();
  if (header.show_existing) {
    header.slot_to_show = bits.bits(3);
    header.shown = true;
    return bits.past_end() ? std::nullopt : std::optional(header);
  }
  header.key = !bits.flag();
  header.shown = bits.flag();
  header.resilient = bits.flag();
  header.refreshed = kAllSlots;
  if (!header.key) {
    header.intra_only = !header.shown && bits.flag();
    if (!header.resilient) header.reset = bits.bits(2);
  }
  if (header.key || header.intra_only) {
    if (bits.bits(24) != kSyncCode) return std::nullopt;
    if ((header.key || profile > 0) && !read_colours(bits, profile)) return std::nullopt;
    if (header.intra_only) header.refreshed = bits.bits(kSlots);
    bits.bits(kSizeBits);
    skip_render_size(bits);
  } else {
    read_inter(bits, header);
  }
  if (!header.resilient) {
    header.refresh_context = bits.flag();
    bits.bits(1);  // frame_parallel_decoding_mode
  }
  header.context = bits.bits(2);
  return bits.past_end() ? std::nullopt : std::optional(header);
}

// color_config(). False: what no decoder takes.
bool Vp9References::read_colours(BitReader& bits, uint32_t profile) {
  constexpr uint32_t kRgb = 7;
  if (profile >= 2) bits.bits(1);
  if (bits.bits(3) == kRgb) return profile % 2 == 1 && !bits.flag();
  bits.bits(1);
  if (profile % 2 == 0) return true;
  bits.bits(2);
  return !bits.flag();
}

// From the slots to the interpolation filter.
void Vp9References::read_inter(BitReader& bits, Header& header) {
  header.refreshed = bits.bits(kSlots);
  for (uint32_t& slot : header.slots) {
    slot = bits.bits(3);
    bits.bits(1);
  }
  bool size_of_reference = false;  // frame_size_with_refs()
  for (size_t i = 0; i < header.slots.size() && !size_of_reference; ++i) {
    size_of_reference = bits.flag();
  }
  if (!size_of_reference) bits.bits(kSizeBits);
  skip_render_size(bits);
  bits.bits(1);
  if (!bits.flag()) bits.bits(2);
}

void Vp9References::follow(const Header& header, std::vector<uint32_t>& references) {
  if (header.show_existing) {
    references.push_back(slots_[header.slot_to_show]);
    // The specification lets it decide whether the next frame uses the motion of the last one
    // (show_frame, 7.2); FFmpeg 5.1 does not.
    last_.push_back(number_);
    return;
  }
  read_state(header, references);
  write_state(header);
}

// Key frames need nothing, and error resilient ones only their pictures: they begin with defaults
// (setup_past_independence, 7.2).
void Vp9References::read_state(const Header& header, std::vector<uint32_t>& references) const {
  if (header.key) return;
  if (header.intra_only) {
    // Of contexts, the specification loads the first, FFmpeg the one that is named.
    if (header.resilient || header.reset == kResetAll) return;
    references.push_back(contexts_[0]);
    references.push_back(contexts_[header.context]);
    return;
  }
  for (const uint32_t slot : header.slots) references.push_back(slots_[slot]);
  references.push_back(*intra_);  // format and colours
  if (header.resilient) return;
  references.push_back(contexts_[header.context]);
  // Motion vectors, the segments' map and features, and the loop filter's deltas are those that the
  // frame before left. Without it, another would be the one before.
  references.insert(references.end(), last_.begin(), last_.end());
}

void Vp9References::write_state(const Header& header) {
  const bool intra = header.key || header.intra_only;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if ((header.refreshed >> slot & 1) != 0) slots_[slot] = number_;
  }
  if (header.key || header.resilient || (intra && header.reset == kResetAll)) {
    contexts_.fill(number_);
  } else if (intra && header.reset == kResetOne) {
    contexts_[header.context] = number_;
  }
  if (header.refresh_context) contexts_[intra ? 0 : header.context] = number_;
  if (intra) intra_ = number_;
  last_.assign(1, number_);
}

}  // namespace streamo::video
