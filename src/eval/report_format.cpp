// The report as JSON for machines and as a table for people.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "streamo/eval/evaluator.h"

namespace streamo::eval {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string seconds(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f} s", *value) : "-";
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f} %", 100 * *value) : "-";
}

std::string_view name_of(text::State state) {
  return text::kStateNames[static_cast<size_t>(state)];
}

Json to_json(const Timeline& timeline) {
  Json turns = Json::array();
  for (const TurnOutcome& turn : timeline.turns) {
    Json entry;
    if (!turn.question.empty()) entry["question"] = turn.question;
    entry["truth"] = name_of(turn.truth);
    entry["predicted"] = name_of(turn.predicted);
    entry["truth_answer"] = turn.truth_answer;
    entry["answer"] = turn.answer;
    for (const float probability : turn.probabilities) {
      entry["probabilities"].push_back(std::round(1e4 * probability) / 1e4);
    }
    turns.push_back(std::move(entry));
  }
  return {{"id", timeline.id},
          {"video_name", timeline.video_name},
          {"task_type", timeline.task_type},
          {"fps", timeline.fps},
          {"turns", std::move(turns)}};
}

}  // namespace

nlohmann::ordered_json to_json(const EvalReport& report, bool with_timelines) {
  const Metrics& metrics = report.metrics;
  Json states, tasks = Json::object(), skipped = Json::array();
  for (size_t i = 0; i < metrics.states.size(); ++i) {
    const StateScore& score = metrics.states[i];
    states[std::string(text::kStateNames[i])] = {{"precision", score.precision},
                                                 {"recall", score.recall},
                                                 {"f1", score.f1},
                                                 {"support", score.support}};
  }
  for (const auto& [task, scores] : report.tasks) {
    tasks[task] = {{"samples", scores.samples},
                   {"macro_f1", scores.macro_f1},
                   {"answer_exact_match", number_or_null(scores.answer_exact_match)},
                   {"within_1s", number_or_null(scores.within_1s)}};
  }
  for (const SkippedSample& sample : report.skipped) {
    skipped.push_back({{"id", sample.id}, {"reason", sample.reason}});
  }
  Json json = {{"samples", metrics.samples},
               {"turns", metrics.turns},
               {"mode", report.teacher_forced ? "teacher_forced" : "streaming"},
               {"states", std::move(states)},
               {"macro_f1", metrics.macro_f1},
               {"response_timing",
                {{"median", number_or_null(metrics.median_error)},
                 {"p90", number_or_null(metrics.p90_error)},
                 {"within_1s", number_or_null(metrics.within_1s)}}},
               {"answer_exact_match", number_or_null(metrics.answer_exact_match)},
               {"false_responses_per_minute", metrics.false_responses_per_minute},
               {"skipped", report.skipped.size()},
               {"skipped_samples", std::move(skipped)},
               {"confusion", metrics.confusion},
               {"response_errors", metrics.response_errors},
               {"tasks", std::move(tasks)}};
  if (with_timelines) {
    json["timelines"] = Json::array();
    for (const Timeline& timeline : report.timelines)
      json["timelines"].push_back(to_json(timeline));
  }
  return json;
}

std::string to_table(const EvalReport& report) {
  const Metrics& metrics = report.metrics;
  std::string text = fmt::format("{} samples, {} turns, {}", metrics.samples, metrics.turns,
                                 report.teacher_forced ? "teacher forced" : "streaming");
  if (!report.skipped.empty()) text += fmt::format(", {} skipped", report.skipped.size());
  text += fmt::format("\n\n{:<12}{:>10}{:>10}{:>10}{:>10}\n", "state", "precision", "recall", "F1",
                      "turns");
  for (size_t i = 0; i < metrics.states.size(); ++i) {
    const StateScore& score = metrics.states[i];
    text += fmt::format("{:<12}{:>10.3f}{:>10.3f}{:>10.3f}{:>10}\n", text::kStateNames[i],
                        score.precision, score.recall, score.f1, score.support);
  }
  text += fmt::format("{:<12}{:>30.3f}\n\n", "macro F1", metrics.macro_f1);
  text += fmt::format("{:<12}{} in the annotation, {} met, {} false ({:.1f} a minute)\n",
                      "responses", metrics.true_responses, metrics.response_errors.size(),
                      metrics.false_responses, metrics.false_responses_per_minute);
  text += fmt::format("{:<12}off by {} (median), {} (90 %); within 1 s: {}\n", "timing",
                      seconds(metrics.median_error), seconds(metrics.p90_error),
                      percent(metrics.within_1s));
  text += fmt::format("{:<12}{} exact\n", "answers", percent(metrics.answer_exact_match));
  if (report.tasks.size() > 1) {
    text += fmt::format("\n{:<24}{:>10}{:>10}{:>12}{:>10}\n", "task", "samples", "macro F1",
                        "within 1 s", "exact");
    for (const auto& [task, scores] : report.tasks) {
      text +=
          fmt::format("{:<24}{:>10}{:>10.3f}{:>12}{:>10}\n", task, scores.samples, scores.macro_f1,
                      percent(scores.within_1s), percent(scores.answer_exact_match));
    }
  }
  text.pop_back();
  return text;
}

}  // namespace streamo::eval
