#include "streamo/eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <tuple>

#include "streamo/text/trim.h"

namespace streamo::eval {
namespace {

using text::kNumStates;
using text::State;

struct Pair {
  size_t truth, predicted;  // turns
  double distance;          // seconds
};

// Nearest first. All candidates of a sample are few: responses are rare.
std::vector<Pair> match_responses(const Timeline& timeline) {
  std::vector<Pair> candidates;
  for (size_t truth = 0; truth < timeline.turns.size(); ++truth) {
    if (timeline.turns[truth].truth != State::kResponse) continue;
    for (size_t predicted = 0; predicted < timeline.turns.size(); ++predicted) {
      if (timeline.turns[predicted].predicted != State::kResponse) continue;
      const double distance =
          std::abs(static_cast<double>(predicted) - static_cast<double>(truth)) / timeline.fps;
      if (distance <= kMatchWindow) candidates.push_back({truth, predicted, distance});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Pair& a, const Pair& b) {
    return std::tie(a.distance, a.truth, a.predicted) < std::tie(b.distance, b.truth, b.predicted);
  });
  std::vector<Pair> pairs;
  std::vector<bool> truth_taken(timeline.turns.size()), predicted_taken(timeline.turns.size());
  for (const Pair& pair : candidates) {
    if (truth_taken[pair.truth] || predicted_taken[pair.predicted]) continue;
    truth_taken[pair.truth] = predicted_taken[pair.predicted] = true;
    pairs.push_back(pair);
  }
  std::sort(pairs.begin(), pairs.end(),
            [](const Pair& a, const Pair& b) { return a.truth < b.truth; });
  return pairs;
}

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0.0;
}

void score_states(Metrics& metrics) {
  double f1_sum = 0;
  int occurring = 0;
  for (size_t state = 0; state < kNumStates; ++state) {
    int64_t predicted = 0, support = 0;
    for (size_t other = 0; other < kNumStates; ++other) {
      predicted += metrics.confusion[other][state];
      support += metrics.confusion[state][other];
    }
    const auto hits = static_cast<double>(metrics.confusion[state][state]);
    StateScore& score = metrics.states[state];
    score.support = support;
    score.precision = ratio(hits, static_cast<double>(predicted));
    score.recall = ratio(hits, static_cast<double>(support));
    score.f1 = ratio(2 * hits, static_cast<double>(predicted + support));
    f1_sum += score.f1;
    occurring += predicted + support > 0 ? 1 : 0;
  }
  metrics.macro_f1 = ratio(f1_sum, occurring);
}

std::optional<double> quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace

Metrics compute_metrics(std::span<const Timeline> timelines) {
  Metrics metrics;
  int64_t on_time = 0, exact = 0;
  double minutes = 0;
  std::vector<double> distances;
  for (const Timeline& timeline : timelines) {
    ++metrics.samples;
    minutes += static_cast<double>(timeline.turns.size()) / timeline.fps / 60;
    for (const TurnOutcome& turn : timeline.turns) {
      ++metrics.turns;
      ++metrics.confusion[static_cast<size_t>(turn.truth)][static_cast<size_t>(turn.predicted)];
      metrics.true_responses += turn.truth == State::kResponse;
      metrics.false_responses += turn.predicted == State::kResponse;  // less the pairs, below
    }
    for (const Pair& pair : match_responses(timeline)) {
      const double sign = pair.predicted < pair.truth ? -1 : 1;
      metrics.response_errors.push_back(sign * pair.distance);
      distances.push_back(pair.distance);
      --metrics.false_responses;
      if (pair.distance > kOnTime) continue;
      ++on_time;
      exact += text::trimmed(timeline.turns[pair.truth].truth_answer) ==
               text::trimmed(timeline.turns[pair.predicted].answer);
    }
  }
  score_states(metrics);
  metrics.median_error = quantile(distances, 0.5);
  metrics.p90_error = quantile(distances, 0.9);
  metrics.false_responses_per_minute = ratio(static_cast<double>(metrics.false_responses), minutes);
  if (metrics.true_responses > 0) {
    const auto all = static_cast<double>(metrics.true_responses);
    metrics.within_1s = static_cast<double>(on_time) / all;
    metrics.answer_exact_match = static_cast<double>(exact) / all;
  }
  return metrics;
}

std::map<std::string, Metrics> metrics_by_task(std::span<const Timeline> timelines) {
  std::map<std::string, std::vector<Timeline>> groups;
  for (const Timeline& timeline : timelines) groups[timeline.task_type].push_back(timeline);
  std::map<std::string, Metrics> result;
  for (const auto& [task, group] : groups) result.emplace(task, compute_metrics(group));
  return result;
}

}  // namespace streamo::eval
