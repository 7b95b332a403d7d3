// How well a model decides when to speak, and what it then says. Formulas: docs/evaluation.md.
//
// States: each turn is one decision among three; precision, recall and F1 a state (0 where their
// denominator is). macro_f1 is the mean over the states that occur in the truth or the predictions.
//
// Responses: within a sample the true and the predicted ones are paired one to one, the pair
// nearest in time first (of equals the earlier), up to kMatchWindow seconds apart. The signed error
// of a pair is predicted - truth: positive is late. A true response without a partner is missed: it
// counts as not within a second and not right, and has no error. A predicted one without a partner
// is a false response; one that has a true response within the window besides (which then has
// another partner) is a duplicate.
//
// Spans: a span is a longest stretch of standby turns. True and predicted spans of a sample are
// paired one to one, the largest intersection over union first; a true span without a partner has
// 0.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/timeline.h"

namespace streamo::eval {

inline constexpr double kMatchWindow = 5.0;  // seconds
inline constexpr double kOnTime = 1.0;       // seconds, of "within 1 s"
// Pairing nearest first makes the pairs of a smaller tolerance those of the window that are near
// enough: one matching serves all.
inline constexpr std::array<double, 3> kTolerances = {kOnTime, 2.0, kMatchWindow};
inline constexpr std::array<double, 3> kSpanThresholds = {0.3, 0.5, 0.7};
inline constexpr int kCalibrationBins = 10;

struct StateScore {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;  // turns of which this is the truth
};

// Responses as events: a pair at most `tolerance` apart is a hit.
struct EventScore {
  double tolerance = 0;  // seconds
  int64_t hits = 0;
  std::optional<double> precision, recall, f1;  // none where they would divide by 0
};

struct SpanScore {
  int64_t spans = 0;                                       // in the truth
  std::optional<double> mean_iou;                          // none without true spans
  std::array<double, kSpanThresholds.size()> recall_at{};  // share of true spans with that IoU
};

struct CalibrationBin {
  int64_t turns = 0;
  double confidence = 0, accuracy = 0;  // means of the turns; 0 without turns
};

// Of the most probable state of each turn, in equal bins of its probability: bin b holds
// (b/10, (b+1)/10]. ECE = sum_b n_b/n |accuracy_b - confidence_b| (Naeini et al., AAAI 2015; Guo et
// al., ICML 2017).
struct Calibration {
  std::array<CalibrationBin, kCalibrationBins> bins{};
  std::optional<double> ece;  // none without turns that have probabilities
  // The same for each state by itself: its probability against how often it is the truth.
  std::array<std::optional<double>, text::kNumStates> state_ece;
};

struct Metrics {
  int64_t samples = 0, turns = 0;
  double minutes = 0;  // of video
  std::array<std::array<int64_t, text::kNumStates>, text::kNumStates>
      confusion{};  // [truth][predicted]
  std::array<StateScore, text::kNumStates> states;
  double macro_f1 = 0;
  int64_t true_responses = 0, predicted_responses = 0, false_responses = 0, duplicates = 0;
  double false_responses_per_minute = 0;
  std::array<EventScore, kTolerances.size()> events;
  std::vector<double> response_errors;  // seconds, of the pairs, in the order of the samples
  // Quantiles are linear between neighbours; none without pairs.
  std::optional<double> median_error, p90_error;                // of |response_errors|
  std::optional<double> signed_median_error, signed_p90_error;  // of response_errors
  std::optional<double> early_share;                            // of the pairs: error < 0
  // Shares of all true responses: with a partner at most kOnTime away; and whose text is that of
  // the truth besides, blanks at the ends aside. The third is the mean of the words' F1
  // (word_f1()) instead. None without true responses.
  std::optional<double> within_1s, answer_exact_match, answer_token_f1;
  SpanScore spans;
  Calibration calibration;
};

Metrics compute_metrics(std::span<const Timeline> timelines);

// The same for the timelines of each kind of task, and of each source.
std::map<std::string, Metrics> metrics_by_task(std::span<const Timeline> timelines);
std::map<std::string, Metrics> metrics_by_source(std::span<const Timeline> timelines);

}  // namespace streamo::eval
