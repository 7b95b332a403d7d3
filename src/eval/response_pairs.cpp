// Greedy matching by distance in time within a window; ties go to the earlier pair, so the result
// is unique.
#include "eval/response_pairs.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace streamo::eval {
namespace {

std::vector<size_t> responses(const Timeline& timeline, text::State TurnOutcome::*state) {
  std::vector<size_t> turns;
  for (size_t turn = 0; turn < timeline.turns.size(); ++turn) {
    if (timeline.turns[turn].*state == text::State::kResponse) turns.push_back(turn);
  }
  return turns;
}

}  // namespace

std::vector<size_t> true_responses(const Timeline& timeline) {
  return responses(timeline, &TurnOutcome::truth);
}

std::vector<size_t> predicted_responses(const Timeline& timeline) {
  return responses(timeline, &TurnOutcome::predicted);
}

std::vector<ResponsePair> pair_responses(std::span<const size_t> truth,
                                         std::span<const size_t> predicted, double fps,
                                         double window) {
  struct Candidate {
    double distance;
    size_t truth, predicted;  // places in the lists
  };
  std::vector<Candidate> candidates;
  size_t first = 0;  // predictions before are too early for this truth and all later ones
  for (size_t i = 0; i < truth.size(); ++i) {
    const auto error = [&](size_t j) {
      return (static_cast<double>(predicted[j]) - static_cast<double>(truth[i])) / fps;
    };
    while (first < predicted.size() && error(first) < -window) ++first;
    for (size_t j = first; j < predicted.size() && error(j) <= window; ++j) {
      candidates.push_back({std::abs(error(j)), i, j});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.distance, a.truth, a.predicted) < std::tie(b.distance, b.truth, b.predicted);
  });
  std::vector<bool> truth_taken(truth.size()), predicted_taken(predicted.size());
  std::vector<ResponsePair> pairs;
  for (const Candidate& candidate : candidates) {
    if (truth_taken[candidate.truth] || predicted_taken[candidate.predicted]) continue;
    truth_taken[candidate.truth] = predicted_taken[candidate.predicted] = true;
    pairs.push_back({truth[candidate.truth], predicted[candidate.predicted], candidate.distance});
  }
  std::sort(pairs.begin(), pairs.end(),
            [](const ResponsePair& a, const ResponsePair& b) { return a.truth < b.truth; });
  return pairs;
}

}  // namespace streamo::eval
