#include "decode_plan.h"

#include <algorithm>

namespace streamo::video {

void DecodePlanner::add(const AVPacket& packet, const PacketKind& kind, bool displayed) {
  const bool timed = displayed || (packet.flags & AV_PKT_FLAG_DISCARD) != 0 || !kind.shown ||
                     packet.pts != AV_NOPTS_VALUE;
  possible_ = possible_ && kind.understood && timed;
  if (!possible_) {
    entries_ = {};
    return;
  }
  const auto layer = static_cast<uint8_t>(kind.layer);
  top_layer_ = std::max(top_layer_, layer);
  entries_.push_back(
      {packet.pts, kind.order, layer, kind.random_access, kind.droppable, displayed && kind.shown});
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
    const bool pass =
        entry.droppable && entry.layer == top_layer_ && !entry.wanted && !before_first;
    feed[i] = pass ? Feed::kPass : Feed::kDecode;
  }
  if (needed > begin && begin > 0 && feed[begin - 1] == Feed::kDrop) feed[begin] = Feed::kRestart;
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
  plan.feed = feed(entries);
  return plan;
}

}  // namespace streamo::video
