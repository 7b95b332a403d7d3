// How well a model decides when to speak, and what it then says.
//
// States: each turn is one decision among three; precision, recall and F1 a state (0 where their
// denominator is). macro_f1 is the mean over the states that occur in the truth or the predictions.
//
// Timing: within a sample the true responses and the predicted ones are paired one to one, the pair
// nearest in time first (of equals the earlier), up to kMatchWindow seconds apart. The signed error
// of a pair is predicted - truth: positive is late. A true response without a partner is missed: it
// counts as not within a second and not exact, and has no error. A predicted one without a partner
// is a false response.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "streamo/text/special_tokens.h"

namespace streamo::eval {

inline constexpr double kMatchWindow = 5.0;  // seconds
inline constexpr double kOnTime = 1.0;       // seconds, of "within 1 s"

struct TurnOutcome {
  std::string question;  // asked in this turn; "" when none
  text::State truth = text::State::kSilence, predicted = text::State::kSilence;
  std::string truth_answer, answer;  // of a response
  std::array<float, text::kNumStates> probabilities{};
};

// One evaluated sample.
struct Timeline {
  std::string id, video_name, task_type;
  double fps = 1.0;  // turns a second
  std::vector<TurnOutcome> turns;
};

struct StateScore {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;  // turns of which this is the truth
};

struct Metrics {
  int64_t samples = 0, turns = 0;
  std::array<std::array<int64_t, text::kNumStates>, text::kNumStates>
      confusion{};  // [truth][predicted]
  std::array<StateScore, text::kNumStates> states;
  double macro_f1 = 0;
  std::vector<double> response_errors;  // seconds, of the pairs, in the order of the samples
  int64_t true_responses = 0, false_responses = 0;
  double false_responses_per_minute = 0;  // of video
  // Of |response_errors|, linear between neighbours; none without pairs.
  std::optional<double> median_error, p90_error;
  // Shares of all true responses: with a partner at most kOnTime away; and whose text is that of
  // the truth besides, blanks at the ends aside. None without true responses.
  std::optional<double> within_1s, answer_exact_match;
};

Metrics compute_metrics(std::span<const Timeline> timelines);

// The same for the timelines of each kind of task.
std::map<std::string, Metrics> metrics_by_task(std::span<const Timeline> timelines);

}  // namespace streamo::eval
