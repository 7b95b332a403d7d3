// Plays samples to a model as a live session would, and compares what it says with the annotation.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/samples/sample_source.h"
#include "eval/metrics.h"
#include "streamo/core/error.h"
#include "streamo/data/context_window.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"

namespace streamo::eval {

struct EvaluateOptions {
  // false: the model's own words are its history, as when it is used. true: the annotation's are;
  // each turn is then judged for itself (states, and the answer it would give there).
  bool teacher_forced = false;
  int64_t max_samples = 0;  // 0: all; else that many, spread evenly over the source
  int num_threads = 0;      // samples at a time; 0: one a processor core
  int64_t max_answer_tokens = 64;
  data::ContextRule context = data::kReferenceContext;
  std::function<void(int64_t done, int64_t total)> progress =
      {};                                  // after each sample; never at once
  std::function<void()> before_turn = {};  // by any thread; what it throws ends the evaluation
};

struct SkippedSample {
  std::string id, reason;
};

struct EvalReport {
  Metrics metrics;
  std::map<std::string, Metrics> tasks, sources;
  std::vector<Timeline> timelines;  // in the order of the source
  std::vector<SkippedSample> skipped;
  bool teacher_forced = false;
};

// What evaluate() consists of, for several processes that share the work. The samples that it
// chooses; what playing some of them gives, in their order; and the report of all that were chosen.
std::vector<size_t> samples_to_evaluate(const data::SampleSource& source, int64_t max_samples);
using Predictions = std::vector<core::Result<Timeline>>;
Predictions rollout_samples(model::VisionLanguageModel& model, const text::ChatFormat& format,
                            const data::SampleSource& source, const std::vector<size_t>& samples,
                            const EvaluateOptions& options);
EvalReport make_report(const data::SampleSource& source, const std::vector<size_t>& samples,
                       Predictions played, bool teacher_forced);

// Samples that cannot be read are skipped and listed. The result does not depend on the number of
// threads. Throws core::Error{kData} when every sample is bad, naming the first one's reason.
EvalReport evaluate(model::VisionLanguageModel& model, const text::ChatFormat& format,
                    const data::SampleSource& source, const EvaluateOptions& options);

// What the annotation says of a turn: question, truth and its answer. None when `assistant` does
// not begin with a state.
std::optional<TurnOutcome> annotated_turn(const std::string& user, const std::string& assistant);

// The turns of one sample; what evaluate() does for each. A Fault when a turn of the sample does
// not begin with a state.
core::Result<Timeline> play(model::VisionLanguageModel& model, const text::ChatFormat& format,
                            const data::Sample& sample, double fps, const EvaluateOptions& options);

// The keys of docs/evaluation.md; with `timelines` (to_json(Timeline)) when asked for. What does
// not exist (the median of no errors) is null.
nlohmann::ordered_json to_json(const EvalReport& report, bool with_timelines);

// The same report of some of its samples only: those that evaluate() would choose with
// options.max_samples = `max_samples`. So numbers of a part and of the whole can be compared.
EvalReport evenly_spaced_subset(const EvalReport& report, const data::SampleSource& source,
                                int64_t max_samples);

// For people: a few lines, without a newline at the end.
std::string to_table(const EvalReport& report);

}  // namespace streamo::eval
