// Sweeps the threshold over the sorted probabilities and re-matches only the timelines that gained
// a response.
#include "eval/thresholds.h"

#include <algorithm>

#include "eval/response_pairs.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

constexpr auto kResponse = static_cast<size_t>(text::State::kResponse);

// A turn that a falling threshold makes a response.
struct Candidate {
  float probability;
  size_t timeline, turn;
};

// Responses predicted and met, while predictions are added.
class Replay {
 public:
  Replay(const std::vector<Timeline>& timelines, double tolerance)
      : timelines_(timelines), tolerance_(tolerance) {
    for (const Timeline& timeline : timelines) {
      parts_.push_back({true_responses(timeline), {}, 0});
      due_ += static_cast<int64_t>(parts_.back().truth.size());
      minutes_ += timeline.seconds() / 60;
    }
  }

  void add(size_t timeline, size_t turn) {
    std::vector<size_t>& predicted = parts_[timeline].predicted;
    predicted.insert(std::lower_bound(predicted.begin(), predicted.end(), turn), turn);
    ++responses_;
  }

  // After additions to it.
  void match(size_t timeline) {
    Part& part = parts_[timeline];
    hits_ -= part.hits;
    part.hits = static_cast<int64_t>(
        pair_responses(part.truth, part.predicted, timelines_[timeline].fps, tolerance_).size());
    hits_ += part.hits;
  }

  OperatingPoint point(double threshold) const {
    OperatingPoint point{threshold, responses_, hits_};
    const auto hits = static_cast<double>(hits_), said = static_cast<double>(responses_),
               due = static_cast<double>(due_);
    point.recall = hits / due;
    point.precision = said > 0 ? hits / said : 0;
    point.f1 = 2 * hits / (said + due);
    point.false_per_minute = (said - hits) / minutes_;
    return point;
  }

  int64_t due() const { return due_; }
  double minutes() const { return minutes_; }

 private:
  struct Part {
    std::vector<size_t> truth, predicted;
    int64_t hits = 0;
  };

  const std::vector<Timeline>& timelines_;
  double tolerance_;
  std::vector<Part> parts_;
  int64_t due_ = 0;  // true responses
  double minutes_ = 0;
  int64_t responses_ = 0, hits_ = 0;
};

std::vector<Candidate> threshold_candidates(const std::vector<Timeline>& timelines) {
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < timelines.size(); ++i) {
    for (size_t turn = 0; turn < timelines[i].turns.size(); ++turn) {
      candidates.push_back({timelines[i].turns[turn].probabilities[kResponse], i, turn});
    }
  }
  std::stable_sort(
      candidates.begin(), candidates.end(),
      [](const Candidate& a, const Candidate& b) { return a.probability > b.probability; });
  return candidates;
}

OperatingPoint as_played(const std::vector<Timeline>& timelines, double tolerance) {
  Replay replay(timelines, tolerance);
  for (size_t i = 0; i < timelines.size(); ++i) {
    for (const size_t turn : predicted_responses(timelines[i])) replay.add(i, turn);
    replay.match(i);
  }
  return replay.point(0);
}

}  // namespace

OperatingCurve operating_curve(const StoredEvaluation& evaluation, double tolerance) {
  const std::vector<Timeline>& timelines = evaluation.timelines;
  const std::vector<Candidate> candidates = threshold_candidates(timelines);
  Replay replay(timelines, tolerance);
  if (replay.due() == 0 || candidates.empty() || candidates[0].probability <= 0) {
    throw core::Error(core::ErrorKind::kData,
                      replay.due() == 0 ? "no response in the annotations" : "no probabilities", "",
                      "thresholds need an evaluation of annotated responses");
  }
  OperatingCurve curve;
  curve.tolerance = tolerance;
  curve.exact = evaluation.teacher_forced;
  curve.samples = static_cast<int64_t>(timelines.size());
  curve.true_responses = replay.due();
  curve.minutes = replay.minutes();
  curve.as_played = as_played(timelines, tolerance);
  for (size_t begin = 0, end = 0; begin < candidates.size(); begin = end) {
    const float probability = candidates[begin].probability;
    for (; end < candidates.size() && candidates[end].probability == probability; ++end) {
      replay.add(candidates[end].timeline, candidates[end].turn);
    }
    for (size_t i = begin; i < end; ++i) {  // sorted stably: those of a timeline are neighbours
      if (i + 1 < end && candidates[i + 1].timeline == candidates[i].timeline) continue;
      replay.match(candidates[i].timeline);
    }
    curve.points.push_back(replay.point(probability));
  }
  return curve;
}

std::optional<OperatingPoint> point_at_rate(const OperatingCurve& curve, double false_per_minute) {
  std::optional<OperatingPoint> found;
  for (const OperatingPoint& point : curve.points) {
    if (point.false_per_minute > false_per_minute) break;
    found = point;
  }
  return found;
}

OperatingPoint best_f1(const OperatingCurve& curve) {
  return *std::max_element(
      curve.points.begin(), curve.points.end(),
      [](const OperatingPoint& a, const OperatingPoint& b) { return a.f1 < b.f1; });
}

}  // namespace streamo::eval
