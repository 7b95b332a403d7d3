// Parses parameter sets and slice headers up to the short-term reference picture set, and keeps the
// decoded picture buffer it describes.
#include "video/decode/hevc_references.h"

#include <algorithm>
#include <cstdlib>

namespace streamo::video {
namespace {

constexpr int kHeaderBits = 16;
constexpr uint32_t kMostReferences = 16;
constexpr int kFirstRandomAccess = 16, kLastRandomAccess = 23;  // unit types
constexpr int kFirstIdr = 19, kLastIdr = 20;
constexpr int kSkippedN = 8, kSkippedR = 9;  // RASL: shown before a CRA, may refer to before it
// Decoders find order counts by their lower bits. With so many, what is dropped does not mislead
// them (DecodePlanner keeps the steps below a quarter of that).
constexpr uint32_t kLeastOrderBits = 8, kMostOrderBits = 16;
constexpr uint32_t kMostDelta = 1 << 15;  // between order counts

int unit_type(Bytes unit) {
  return unit[0] >> 1 & 63;
}

int bits_for(size_t count) {
  int bits = 0;
  while (size_t{1} << bits < count) ++bits;
  return bits;
}

}  // namespace

// 7.3.3
void HevcReferences::skip_profile(BitReader& bits, uint32_t layers) {
  constexpr int kProfileBits = 88, kLevelBits = 8, kMostLayers = 8;
  const auto skip = [&](int count) {
    for (; count > 0; count -= 8) bits.bits(8);
  };
  skip(kProfileBits + kLevelBits);
  std::vector<std::pair<bool, bool>> present;
  for (uint32_t i = 0; i < layers; ++i) {
    const bool profile = bits.flag();
    present.emplace_back(profile, bits.flag());
  }
  if (layers > 0) {
    for (uint32_t i = layers; i < kMostLayers; ++i) bits.bits(2);
  }
  for (const auto& [profile, level] : present) {
    if (profile) skip(kProfileBits);
    if (level) skip(kLevelBits);
  }
}

// 7.3.4
void HevcReferences::skip_scaling_lists(BitReader& bits) {
  for (int size = 0; size < 4; ++size) {
    for (int matrix = 0; matrix < 6; matrix += size == 3 ? 3 : 1) {
      if (!bits.flag()) {
        bits.exp_golomb();
        continue;
      }
      const int coefficients = std::min(64, 1 << (4 + 2 * size));
      for (int i = size > 1 ? -1 : 0; i < coefficients; ++i) bits.exp_golomb();
    }
  }
}

// 7.3.2.2, from the chroma format to the reference sets.
std::optional<HevcReferences::Sequence> HevcReferences::parse_sequence(BitReader& bits,
                                                                       uint32_t layers) {
  Sequence sequence;
  const auto skip_numbers = [&](uint32_t count) {
    while (count-- > 0) bits.exp_golomb();
  };
  sequence.separate_planes = bits.exp_golomb() == 3 && bits.flag();
  skip_numbers(2);                   // width, height
  if (bits.flag()) skip_numbers(4);  // cropping
  skip_numbers(2);                   // bit depths
  const uint32_t order_bits = bits.exp_golomb() + 4;
  if (order_bits < kLeastOrderBits || order_bits > kMostOrderBits) return std::nullopt;
  sequence.order_bits = static_cast<int>(order_bits);
  const bool each_layer = bits.flag();
  skip_numbers(3 * (each_layer ? layers + 1 : 1));
  skip_numbers(6);  // block sizes
  if (bits.flag() && bits.flag()) skip_scaling_lists(bits);
  bits.bits(2);
  if (bits.flag()) {  // PCM
    bits.bits(8);
    skip_numbers(2);
    bits.bits(1);
  }
  constexpr uint32_t kMostSets = 64;
  const uint32_t sets = bits.exp_golomb();
  if (sets > kMostSets) return std::nullopt;
  for (uint32_t i = 0; i < sets; ++i) {
    std::optional<ReferenceSet> set = parse_set(bits, sequence.sets, sets);
    if (!set) return std::nullopt;
    sequence.sets.push_back(*std::move(set));
  }
  sequence.long_term = bits.flag();
  sequence.long_term_listed = sequence.long_term && bits.exp_golomb() > 0;
  if (bits.past_end()) return std::nullopt;
  return sequence;
}

// st_ref_pic_set(), 7.3.7: the one after `sets`, of which the sequence has `count`.
std::optional<HevcReferences::ReferenceSet> HevcReferences::parse_set(
    BitReader& bits, const std::vector<ReferenceSet>& sets, size_t count) {
  if (!sets.empty() && bits.flag()) return predict_set(bits, sets, count);
  const uint32_t before = bits.exp_golomb(), after = bits.exp_golomb();
  if (before > kMostReferences || after > kMostReferences) return std::nullopt;
  ReferenceSet set;
  const auto read = [&](uint32_t pictures, int direction, std::vector<Reference>& references) {
    int delta = 0;
    for (uint32_t i = 0; i < pictures; ++i) {
      delta += direction * static_cast<int>(std::min(bits.exp_golomb(), kMostDelta - 1) + 1);
      references.push_back({delta, bits.flag()});
    }
  };
  read(before, -1, set.before);
  read(after, 1, set.after);
  return set;
}

// The same from an earlier set, moved: 7.4.8, (7-61) and (7-62).
std::optional<HevcReferences::ReferenceSet> HevcReferences::predict_set(
    BitReader& bits, const std::vector<ReferenceSet>& sets, size_t count) {
  const size_t back = sets.size() == count ? size_t{bits.exp_golomb()} + 1 : 1;
  if (back > sets.size()) return std::nullopt;
  const ReferenceSet& from = sets[sets.size() - back];
  const bool negative = bits.flag();
  const int moved =
      static_cast<int>(std::min(bits.exp_golomb(), kMostDelta - 1) + 1) * (negative ? -1 : 1);
  // The earlier set's pictures, those before first, and at last the picture it was for.
  std::vector<Reference> all = from.before;
  all.insert(all.end(), from.after.begin(), from.after.end());
  all.push_back({0, false});
  ReferenceSet set;
  for (Reference& reference : all) {
    reference.delta += moved;
    reference.used = bits.flag();
    const bool kept = reference.used || bits.flag();
    if (kept && reference.delta < 0) set.before.push_back(reference);
    if (kept && reference.delta > 0) set.after.push_back(reference);
  }
  const auto nearest = [](const Reference& a, const Reference& b) {
    return std::abs(a.delta) < std::abs(b.delta);
  };
  std::sort(set.before.begin(), set.before.end(), nearest);
  std::sort(set.after.begin(), set.after.end(), nearest);
  return set;
}

void HevcReferences::read_sequence_parameters(Bytes unit) {
  BitReader bits(unit);
  bits.bits(kHeaderBits + 4);
  const uint32_t layers = bits.bits(3);
  bits.bits(1);
  skip_profile(bits, layers);
  const uint32_t id = bits.exp_golomb();
  sequences_.erase(id);
  if (std::optional<Sequence> sequence = parse_sequence(bits, layers)) {
    sequences_.emplace(id, *std::move(sequence));
  }
}

// 7.3.2.3
void HevcReferences::read_picture_parameters(Bytes unit) {
  BitReader bits(unit);
  bits.bits(kHeaderBits);
  const uint32_t id = bits.exp_golomb();
  PictureParameters parameters{.sequence = bits.exp_golomb()};
  bits.bits(1);
  parameters.output_flag = bits.flag();
  parameters.extra_bits = static_cast<int>(bits.bits(3));
  pictures_[id] = parameters;
}

// slice_segment_header(), 7.3.6.1
HevcReferences::Picture HevcReferences::read_slice(Bytes unit, int order, uint32_t number) {
  const int type = unit_type(unit);
  BitReader bits(unit);
  bits.bits(kHeaderBits);
  Picture picture;
  if (!bits.flag()) return picture;  // its first slice is lost
  if (type >= kFirstRandomAccess && type <= kLastRandomAccess) bits.bits(1);
  const auto parameters = pictures_.find(bits.exp_golomb());
  if (parameters == pictures_.end()) return picture;
  const auto found = sequences_.find(parameters->second.sequence);
  if (found == sequences_.end()) return picture;
  const Sequence& sequence = found->second;
  bits.bits(parameters->second.extra_bits);
  bits.exp_golomb();  // slice type
  picture.shown = !parameters->second.output_flag || bits.flag();
  if (sequence.separate_planes) bits.bits(2);
  std::optional<ReferenceSet> set = ReferenceSet{};
  const bool idr = type >= kFirstIdr && type <= kLastIdr;
  if (!idr) {
    bits.bits(sequence.order_bits);
    if (!bits.flag()) {
      set = parse_set(bits, sequence.sets, sequence.sets.size());
    } else {
      const uint32_t index = bits.bits(bits_for(sequence.sets.size()));
      set = index < sequence.sets.size() ? std::optional(sequence.sets[index]) : std::nullopt;
    }
  }
  const bool long_term =
      !idr && sequence.long_term && (sequence.long_term_listed || bits.exp_golomb() > 0);
  if (!set || long_term || bits.past_end()) return picture;
  picture.references = refer(*set, order, type);
  kept_.emplace_back(order, number);
  return picture;
}

// 8.3.2. What the set does not name is kept no longer.
std::optional<std::vector<uint32_t>> HevcReferences::refer(const ReferenceSet& set, int order,
                                                           int type) {
  Kept kept;
  std::vector<uint32_t> packets;
  bool missing = false;
  for (const std::vector<Reference>* references : {&set.before, &set.after}) {
    for (const Reference& reference : *references) {
      const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& entry) {
        return entry.first == order + reference.delta;
      });
      missing = missing || (found == kept_.end() && reference.used);
      if (found == kept_.end()) continue;
      kept.push_back(*found);
      if (reference.used) packets.push_back(found->second);
    }
  }
  kept_ = std::move(kept);
  // Where the stream begins at a CRA, the pictures shown before it cannot be decoded.
  if (missing && type != kSkippedN && type != kSkippedR) return std::nullopt;
  std::sort(packets.begin(), packets.end());
  return packets;
}

}  // namespace streamo::video
