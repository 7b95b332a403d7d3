// Feeds annotated turns to a live session, one session a sample and several samples on threads, and
// keeps each turn beside its annotation.
#include "eval/evaluator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "core/io/fault_point.h"
#include "core/process/progress.h"
#include "data/samples/training_example.h"
#include "eval/run_concurrently.h"
#include "streamo/stream/session.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

void score(EvalReport& report) {
  report.metrics = compute_metrics(report.timelines);
  report.tasks = metrics_by_task(report.timelines);
  report.sources = metrics_by_source(report.timelines);
}

}  // namespace

std::optional<TurnOutcome> annotated_turn(const std::string& user, const std::string& assistant) {
  const auto state = text::leading_state(assistant);
  if (!state) return std::nullopt;
  const std::string_view after_state =
      std::string_view(assistant).substr(text::state_token(*state).size());
  TurnOutcome outcome;
  outcome.question = text::trimmed(data::extract_question(user));
  outcome.truth = *state;
  outcome.truth_answer = text::trimmed(after_state);
  return outcome;
}

core::Result<Timeline> play(model::VisionLanguageModel& model, const text::ChatFormat& format,
                            const data::Sample& sample, double fps,
                            const EvaluateOptions& options) {
  const std::vector<text::Message>& messages = sample.conversation.messages;
  const data::Conversation& conversation = sample.conversation;
  Timeline timeline{
      sample.id, conversation.video_name, conversation.task_type, conversation.source, fps, {}};
  stream::Session session(
      model, format, {.max_answer_tokens = options.max_answer_tokens, .context = options.context});
  const bool has_system = !messages.empty() && messages[0].role == "system";
  session.begin(has_system ? messages[0].content : "");
  size_t next_frame = 0;
  for (size_t i = has_system ? 1 : 0; i + 1 < messages.size(); i += 2) {
    if (options.before_turn) options.before_turn();
    const text::Message &user = messages[i], &assistant = messages[i + 1];
    std::optional<TurnOutcome> outcome = annotated_turn(user.content, assistant.content);
    if (!outcome || user.role != "user" || assistant.role != "assistant") {
      return core::Fault{
          fmt::format("{}: message {} is no assistant turn that begins with one of {}", sample.id,
                      i + 2, fmt::join(text::kStateTokens, ", "))};
    }
    const auto pictures = static_cast<size_t>(text::count_placeholders(user.content));
    STREAMO_CHECK(next_frame + pictures <= sample.frames.size(),
                  "every placeholder has its picture");
    const auto frames = std::span(sample.frames).subspan(next_frame, pictures);
    next_frame += pictures;
    const auto forced = options.teacher_forced ? std::optional(assistant.content) : std::nullopt;
    stream::Round round = session.step(user.content, frames, forced);
    outcome->predicted = round.state;
    outcome->answer = std::move(round.answer);
    outcome->probabilities = round.probabilities;
    timeline.turns.push_back(*std::move(outcome));
    core::fault_point("eval.turn");
    core::reading().note();
  }
  return timeline;
}

// Evenly spread: annotation files are often sorted by task.
std::vector<size_t> samples_to_evaluate(const data::SampleSource& source, int64_t max_samples) {
  const size_t size = source.size();
  const size_t count = max_samples > 0 ? std::min(size, static_cast<size_t>(max_samples)) : size;
  std::vector<size_t> chosen(count);
  for (size_t i = 0; i < count; ++i) chosen[i] = i * size / count;
  return chosen;
}

Predictions rollout_samples(model::VisionLanguageModel& model, const text::ChatFormat& format,
                            const data::SampleSource& source, const std::vector<size_t>& samples,
                            const EvaluateOptions& options) {
  const double fps = source.options().conversation.fps;
  std::vector<std::optional<core::Result<Timeline>>> results(samples.size());
  std::mutex progress_mutex;
  int64_t done = 0;
  run_concurrently(samples.size(), options.num_threads, [&](size_t i) {
    core::Result<data::Sample> sample = source.load(samples[i]);
    results[i] = sample ? play(model, format, *sample, fps, options)
                        : core::Result<Timeline>(sample.fault());
    const std::lock_guard lock(progress_mutex);
    ++done;
    if (options.progress) options.progress(done, static_cast<int64_t>(samples.size()));
  });
  Predictions played;
  for (auto& result : results) played.push_back(*std::move(result));
  return played;
}

EvalReport make_report(const data::SampleSource& source, const std::vector<size_t>& samples,
                       Predictions played, bool teacher_forced) {
  STREAMO_CHECK(samples.size() == played.size(), "every sample was played");
  EvalReport report;
  report.teacher_forced = teacher_forced;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (played[i]) {
      report.timelines.push_back(*std::move(played[i]));
    } else {
      report.skipped.push_back({source.id(samples[i]), played[i].reason()});
    }
  }
  if (report.timelines.empty()) {
    throw core::Error(
        core::ErrorKind::kData,
        report.skipped.empty()
            ? "there is no sample to evaluate"
            : fmt::format("none of {} samples can be evaluated, the first is {}: {}",
                          samples.size(), report.skipped[0].id, report.skipped[0].reason));
  }
  score(report);
  return report;
}

EvalReport evaluate(model::VisionLanguageModel& model, const text::ChatFormat& format,
                    const data::SampleSource& source, const EvaluateOptions& options) {
  const std::vector<size_t> samples = samples_to_evaluate(source, options.max_samples);
  return make_report(source, samples, rollout_samples(model, format, source, samples, options),
                     options.teacher_forced);
}

EvalReport evenly_spaced_subset(const EvalReport& report, const data::SampleSource& source,
                                int64_t max_samples) {
  std::unordered_set<std::string> chosen;
  for (const size_t i : samples_to_evaluate(source, max_samples)) chosen.insert(source.id(i));
  EvalReport subset;
  subset.teacher_forced = report.teacher_forced;
  std::copy_if(report.timelines.begin(), report.timelines.end(),
               std::back_inserter(subset.timelines),
               [&](const Timeline& timeline) { return chosen.contains(timeline.id); });
  std::copy_if(report.skipped.begin(), report.skipped.end(), std::back_inserter(subset.skipped),
               [&](const SkippedSample& sample) { return chosen.contains(sample.id); });
  score(subset);
  return subset;
}

}  // namespace streamo::eval
