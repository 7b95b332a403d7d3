// What a threshold on the probability of a response makes of an evaluation: how many true responses
// are met, at how many false alarms a minute. Free of LibTorch.
//
// With threshold t a turn is a response where P(response) >= t, whatever the other two states' are.
// The probabilities are those that the evaluation stored (to four digits, so thresholds are no
// finer). Teacher-forced, each turn was judged after the annotation's history, which no threshold
// changes: the curve is exactly what an evaluation with that threshold would give. Streaming, the
// history is what the model said with its own threshold: had it spoken elsewhere, later
// probabilities would be others. The curve is then an approximation, good near the operating point
// that was played.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "eval/metrics.h"
#include "eval/timeline.h"

namespace streamo::eval {

struct OperatingPoint {
  double threshold = 0;
  int64_t responses = 0;  // predicted
  int64_t hits = 0;       // of them with a true one as partner, by the matching of metrics.h
  double recall = 0;      // hits / true responses
  double precision = 0;   // hits / predicted; 0 without any
  double f1 = 0;
  double false_per_minute = 0;  // (predicted - hits) / minutes of video
};

struct OperatingCurve {
  double tolerance = kMatchWindow;
  bool exact = false;  // teacher-forced, see above
  int64_t samples = 0, true_responses = 0;
  double minutes = 0;
  // One point for each probability that occurs, falling; recall and false alarms only rise along
  // it (a prediction more never takes a true response its partner).
  std::vector<OperatingPoint> points;
  OperatingPoint as_played;  // the states of the evaluation; its threshold means nothing
};

// `tolerance`: seconds that partners may be apart. Throws core::Error{kData} without true responses
// or without probabilities: there is no curve then.
OperatingCurve operating_curve(const StoredEvaluation& evaluation, double tolerance);

// The lowest threshold with at most that many false alarms a minute: none has more recall within
// the rate. None where even the surest response alone makes more.
std::optional<OperatingPoint> point_at_rate(const OperatingCurve& curve, double false_per_minute);
OperatingPoint best_f1(const OperatingCurve& curve);

// {"samples","true_responses","minutes","tolerance","exact","as_played","best_f1","wanted" (if a
// rate was), "curve":[..]}, each point with its fields' names.
nlohmann::ordered_json to_json(const OperatingCurve& curve,
                               const std::optional<double>& wanted_rate);
// For people, without a newline at the end: the curve at round rates.
std::string to_table(const OperatingCurve& curve, const std::optional<double>& wanted_rate);

}  // namespace streamo::eval
