// Greedy matching of intervals by intersection over union.
#include "eval/spans.h"

#include <algorithm>

namespace streamo::eval {

std::vector<TurnSpan> standby_spans(const Timeline& timeline, text::State TurnOutcome::*state) {
  std::vector<TurnSpan> spans;
  for (size_t turn = 0; turn < timeline.turns.size(); ++turn) {
    if (timeline.turns[turn].*state != text::State::kStandby) continue;
    if (spans.empty() || spans.back().end != turn) spans.push_back({turn, turn});
    spans.back().end = turn + 1;
  }
  return spans;
}

double intersection_over_union(const TurnSpan& a, const TurnSpan& b) {
  const size_t begin = std::max(a.begin, b.begin), end = std::min(a.end, b.end);
  if (begin >= end) return 0;
  const size_t both = end - begin;
  const size_t either = (a.end - a.begin) + (b.end - b.begin) - both;
  return static_cast<double>(both) / static_cast<double>(either);
}

std::vector<double> span_ious(const std::vector<TurnSpan>& truth,
                              const std::vector<TurnSpan>& predicted) {
  struct Candidate {
    double iou;
    size_t truth, predicted;
  };
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < truth.size(); ++i) {
    for (size_t j = 0; j < predicted.size(); ++j) {
      const double iou = intersection_over_union(truth[i], predicted[j]);
      if (iou > 0) candidates.push_back({iou, i, j});
    }
  }
  // Stable: of equals the earlier stays first.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.iou > b.iou; });
  std::vector<double> ious(truth.size());
  std::vector<bool> taken(predicted.size());
  for (const Candidate& candidate : candidates) {
    if (ious[candidate.truth] > 0 || taken[candidate.predicted]) continue;
    ious[candidate.truth] = candidate.iou;
    taken[candidate.predicted] = true;
  }
  return ious;
}

}  // namespace streamo::eval
