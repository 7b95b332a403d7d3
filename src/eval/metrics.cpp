// Accumulates the counts of one group of timelines; every rate is derived from the sums at the end,
// so groups of different sizes add up.
#include "eval/metrics.h"

#include <algorithm>
#include <cmath>

#include "eval/answer_match.h"
#include "eval/calibration.h"
#include "eval/response_pairs.h"
#include "eval/spans.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

using text::kNumStates;

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0.0;
}

std::optional<double> share(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

std::optional<double> quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
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

// Predictions without a partner that have a true response within the window all the same.
int64_t count_duplicates(std::span<const size_t> truth, std::span<const size_t> predicted,
                         const std::vector<ResponsePair>& pairs, double fps) {
  std::vector<size_t> paired;
  for (const ResponsePair& pair : pairs) paired.push_back(pair.predicted);
  std::sort(paired.begin(), paired.end());
  return std::count_if(predicted.begin(), predicted.end(), [&](size_t turn) {
    if (std::binary_search(paired.begin(), paired.end(), turn)) return false;
    return std::any_of(truth.begin(), truth.end(), [&](size_t due) {
      return std::abs(static_cast<double>(turn) - static_cast<double>(due)) / fps <= kMatchWindow;
    });
  });
}

// Sums over the timelines of one group.
class Sums {
 public:
  void add(const Timeline& timeline) {
    ++metrics_.samples;
    metrics_.minutes += timeline.seconds() / 60;
    for (const TurnOutcome& turn : timeline.turns) {
      ++metrics_.turns;
      ++metrics_.confusion[static_cast<size_t>(turn.truth)][static_cast<size_t>(turn.predicted)];
      calibration_.add(turn);
    }
    add_responses(timeline);
    for (const double iou : span_ious(standby_spans(timeline, &TurnOutcome::truth),
                                      standby_spans(timeline, &TurnOutcome::predicted))) {
      ious_.push_back(iou);
    }
  }

  Metrics result() && {
    score_states(metrics_);
    score_responses();
    score_spans();
    metrics_.calibration = calibration_.result();
    return std::move(metrics_);
  }

 private:
  void add_responses(const Timeline& timeline) {
    const std::vector<size_t> truth = true_responses(timeline);
    const std::vector<size_t> predicted = predicted_responses(timeline);
    const auto pairs = pair_responses(truth, predicted, timeline.fps, kMatchWindow);
    metrics_.true_responses += static_cast<int64_t>(truth.size());
    metrics_.predicted_responses += static_cast<int64_t>(predicted.size());
    metrics_.duplicates += count_duplicates(truth, predicted, pairs, timeline.fps);
    for (const ResponsePair& pair : pairs) {
      const double sign = pair.predicted < pair.truth ? -1 : 1;
      metrics_.response_errors.push_back(sign * pair.distance);
      for (size_t i = 0; i < kTolerances.size(); ++i) {
        metrics_.events[i].hits += pair.distance <= kTolerances[i] ? 1 : 0;
      }
      if (pair.distance > kOnTime) continue;
      const std::string& due = timeline.turns[pair.truth].truth_answer;
      const std::string& said = timeline.turns[pair.predicted].answer;
      exact_ += text::trimmed(due) == text::trimmed(said) ? 1 : 0;
      word_f1_ += word_f1(due, said);
    }
  }

  void score_responses() {
    Metrics& m = metrics_;
    for (size_t i = 0; i < kTolerances.size(); ++i) {
      EventScore& score = m.events[i];
      score.tolerance = kTolerances[i];
      score.precision = share(score.hits, m.predicted_responses);
      score.recall = share(score.hits, m.true_responses);
      score.f1 = share(2 * score.hits, m.predicted_responses + m.true_responses);
    }
    const std::vector<double>& errors = m.response_errors;
    const auto pairs = static_cast<int64_t>(errors.size());
    m.false_responses = m.predicted_responses - pairs;
    m.false_responses_per_minute = ratio(static_cast<double>(m.false_responses), m.minutes);
    std::vector<double> distances(errors.size());
    std::transform(errors.begin(), errors.end(), distances.begin(),
                   [](double error) { return std::abs(error); });
    m.median_error = quantile(distances, 0.5);
    m.p90_error = quantile(distances, 0.9);
    m.signed_median_error = quantile(errors, 0.5);
    m.signed_p90_error = quantile(errors, 0.9);
    m.early_share = share(
        std::count_if(errors.begin(), errors.end(), [](double error) { return error < 0; }), pairs);
    m.within_1s = m.events[0].recall;
    m.answer_exact_match = share(exact_, m.true_responses);
    if (m.true_responses > 0) {
      m.answer_token_f1 = word_f1_ / static_cast<double>(m.true_responses);
    }
  }

  void score_spans() {
    SpanScore& score = metrics_.spans;
    score.spans = static_cast<int64_t>(ious_.size());
    if (ious_.empty()) return;
    double sum = 0;
    for (const double iou : ious_) sum += iou;
    score.mean_iou = sum / static_cast<double>(ious_.size());
    for (size_t i = 0; i < kSpanThresholds.size(); ++i) {
      const auto found = std::count_if(ious_.begin(), ious_.end(),
                                       [&](double iou) { return iou >= kSpanThresholds[i]; });
      score.recall_at[i] = ratio(static_cast<double>(found), static_cast<double>(ious_.size()));
    }
  }

  Metrics metrics_;
  CalibrationCounter calibration_;
  std::vector<double> ious_;
  int64_t exact_ = 0;
  double word_f1_ = 0;
};

std::map<std::string, Metrics> metrics_by(std::span<const Timeline> timelines,
                                          std::string Timeline::*key) {
  std::map<std::string, Sums> groups;
  for (const Timeline& timeline : timelines) groups[timeline.*key].add(timeline);
  std::map<std::string, Metrics> result;
  for (auto& [name, sums] : groups) result.emplace(name, std::move(sums).result());
  return result;
}

}  // namespace

Metrics compute_metrics(std::span<const Timeline> timelines) {
  Sums sums;
  for (const Timeline& timeline : timelines) sums.add(timeline);
  return std::move(sums).result();
}

std::map<std::string, Metrics> metrics_by_task(std::span<const Timeline> timelines) {
  return metrics_by(timelines, &Timeline::task_type);
}

std::map<std::string, Metrics> metrics_by_source(std::span<const Timeline> timelines) {
  return metrics_by(timelines, &Timeline::source);
}

}  // namespace streamo::eval
