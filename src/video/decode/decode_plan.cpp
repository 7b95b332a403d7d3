// Works backwards through each group of pictures, marking what the wanted ones refer to; without
// reference lists it falls back to dropping disposable pictures.
#include "video/decode/decode_plan.h"

#include <algorithm>
#include <cstdlib>

namespace streamo::video {
namespace {

// HEVC counts pictures modulo a number that is at least four times this: decoders that meet larger
// steps lose count.
constexpr int64_t kMostOmitted = 64;

}  // namespace

void DecodePlanner::add(const AVPacket& packet, const PacketKind& kind, bool displayed) {
  // A picture that is shown but has no time could be any sample.
  const bool timed = displayed || (packet.flags & AV_PKT_FLAG_DISCARD) != 0 || !kind.shown ||
                     packet.pts != AV_NOPTS_VALUE;
  possible_ = possible_ && kind.understood && timed;
  if (!possible_) {
    entries_ = {};
    return;
  }
  const auto layer = static_cast<uint8_t>(kind.layer);
  top_layer_ = std::max(top_layer_, layer);
  entries_.push_back({.pts = packet.pts,
                      .order = kind.order,
                      .layer = layer,
                      .random_access = kind.random_access,
                      .droppable = kind.droppable,
                      .displayed = displayed && kind.shown,
                      .needs_restart = kind.needs_restart,
                      .first_reference = static_cast<uint32_t>(references_.size())});
  referenced_ = referenced_ && kind.references;
  if (!referenced_) return;
  references_.insert(references_.end(), kind.references->begin(), kind.references->end());
}

// Indices of the displayed packets in the order of their times.
std::optional<std::vector<size_t>> DecodePlanner::as_displayed(const Entries& entries) {
  std::vector<size_t> indices;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].displayed) indices.push_back(i);
  }
  std::sort(indices.begin(), indices.end(),
            [&](size_t a, size_t b) { return entries[a].pts < entries[b].pts; });
  for (size_t i = 1; i < indices.size(); ++i) {
    const Entry &before = entries[indices[i - 1]], &after = entries[indices[i]];
    // Where times and the codec's output order disagree, one of them is wrong, and the plan might
    // pick another picture than decoding everything would.
    if (before.pts == after.pts || before.order >= after.order) return std::nullopt;
  }
  return indices;
}

std::vector<int64_t> DecodePlanner::mark_wanted(Entries& entries,
                                                const std::vector<size_t>& displayed,
                                                const Timeline& timeline, const SampleGrid& grid) {
  const int64_t samples = grid.count(timeline);
  std::vector<int64_t> wanted;
  for (size_t i = 0; i < displayed.size(); ++i) {
    Entry& entry = entries[displayed[i]];
    const int64_t first = grid.first_reached(entry.pts - timeline.start);
    const int64_t end = i + 1 < displayed.size()
                            ? grid.first_reached(entries[displayed[i + 1]].pts - timeline.start)
                            : samples;
    // The first picture tells the size of all.
    entry.wanted = i == 0 || first < std::min(end, samples);
    if (entry.wanted) wanted.push_back(entry.pts);
  }
  return wanted;
}

// Of one group: up to its last wanted picture.
void DecodePlanner::feed_group(const Entries& entries, size_t begin, size_t end,
                               std::vector<Feed>& feed) const {
  size_t needed = begin;
  for (size_t i = begin; i < end; ++i) {
    if (entries[i].wanted) needed = i + 1;
  }
  const size_t last_of_all = entries.size();
  // Open groups: pictures of the next one that are shown before its beginning.
  for (size_t i = end; i < last_of_all && (i == end || !entries[i].random_access); ++i) {
    if (entries[i].wanted && entries[i].pts < entries[end].pts) needed = end;
  }
  for (size_t i = begin; i < needed; ++i) {
    const Entry& entry = entries[i];
    // What stands before the first picture by its time may be shown all the same: only the decoder
    // knows (Timeline::include_first).
    const bool before_first = begin == 0 && entry.pts < entries[0].pts;
    // `droppable` says that no picture of the same temporal layer or a lower one refers to it;
    // those of a higher layer may. Only in the top layer does nobody.
    const bool pass =
        entry.droppable && entry.layer == top_layer_ && !entry.wanted && !before_first;
    feed[i] = pass ? Feed::kPass : Feed::kDecode;
  }
  if (needed > begin && begin > 0 && feed[begin - 1] == Feed::kDrop) feed[begin] = Feed::kRestart;
}

std::span<const uint32_t> DecodePlanner::references(const Entries& entries, size_t i) const {
  const size_t begin = entries[i].first_reference;
  const size_t end = i + 1 < entries.size() ? entries[i + 1].first_reference : references_.size();
  return std::span(references_).subspan(begin, end - begin);
}

// In one group; those after it are done. Backwards, since references precede the pictures that use
// them: when a picture is reached, everything that refers to it has been seen. Returns the last one
// needed.
size_t DecodePlanner::mark_needed(const Entries& entries, size_t begin, size_t end,
                                  std::vector<bool>& needed) const {
  size_t last = begin;
  for (size_t i = end; i-- > begin;) {
    const bool before_first = begin == 0 && entries[i].pts < entries[0].pts;
    needed[i] = needed[i] || entries[i].wanted || before_first;
    if (!needed[i]) continue;
    last = std::max(last, i);
    needed[begin] = true;  // decoding begins where it can
    for (const uint32_t reference : references(entries, i)) needed[reference] = true;
  }
  return last;
}

bool DecodePlanner::omits_too_many(const Entries& entries, size_t begin, size_t last,
                                   const std::vector<bool>& needed) {
  size_t before = begin;
  for (size_t i = begin; i <= last; ++i) {
    if (!needed[i]) continue;
    if (std::abs(entries[i].order - entries[before].order) > kMostOmitted) return true;
    before = i;
  }
  return false;
}

std::vector<Feed> DecodePlanner::feed_referenced(const Entries& entries) const {
  std::vector<bool> needed(entries.size(), false);
  std::vector<size_t> restarts;
  for (size_t end = entries.size(); end > 0;) {
    size_t begin = end - 1;
    while (begin > 0 && !entries[begin].random_access) --begin;
    const size_t last = mark_needed(entries, begin, end, needed);
    // Too long a gap would make the decoder lose count of the pictures' order: rather all of the
    // group, with what its pictures refer to in earlier groups.
    if (entries[begin].needs_restart && omits_too_many(entries, begin, last, needed)) {
      std::fill(needed.begin() + static_cast<ptrdiff_t>(begin),
                needed.begin() + static_cast<ptrdiff_t>(last) + 1, true);
      mark_needed(entries, begin, end, needed);
    }
    // A restart empties the decoder, so it is not possible where a picture needs an earlier group.
    bool refers_back = false;
    for (size_t i = begin; i <= last; ++i) {
      const auto own = references(entries, i);
      refers_back = refers_back || (needed[i] && !own.empty() && own.front() < begin);
    }
    if (needed[begin] && entries[begin].needs_restart && !refers_back) restarts.push_back(begin);
    end = begin;
  }
  std::vector<Feed> feed(entries.size(), Feed::kDrop);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (needed[i]) feed[i] = Feed::kDecode;
  }
  for (const size_t i : restarts) {
    if (i > 0 && !needed[i - 1]) feed[i] = Feed::kRestart;
  }
  while (!feed.empty() && feed.back() == Feed::kDrop) feed.pop_back();
  return feed;
}

std::vector<Feed> DecodePlanner::feed(const Entries& entries) const {
  std::vector<Feed> feed(entries.size(), Feed::kDrop);
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin + 1;
    while (end < entries.size() && !entries[end].random_access) ++end;
    feed_group(entries, begin, end, feed);
    begin = end;
  }
  while (!feed.empty() && feed.back() == Feed::kDrop) feed.pop_back();
  return feed;
}

std::optional<DecodePlan> DecodePlanner::plan(const Timeline& timeline,
                                              const SampleGrid& grid) const {
  if (!possible_ || entries_.empty() || !entries_.front().random_access ||
      timeline.clock != Clock::kPresentation) {
    return std::nullopt;
  }
  Entries entries = entries_;
  const auto displayed = as_displayed(entries);
  if (!displayed) return std::nullopt;
  DecodePlan plan;
  plan.wanted = mark_wanted(entries, *displayed, timeline, grid);
  plan.feed = referenced_ ? feed_referenced(entries) : feed(entries);
  return plan;
}

}  // namespace streamo::video
