// The evaluation report as a short table for people.
#include <fmt/format.h>

#include "eval/evaluator.h"

namespace streamo::eval {
namespace {

std::string number(const std::optional<double>& value, const char* unit = "", int digits = 3) {
  return value ? fmt::format("{:.{}f}{}", *value, digits, unit) : "-";
}

std::string signed_seconds(const std::optional<double>& value) {
  return value ? fmt::format("{:+.1f} s", *value) : "-";
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f} %", 100 * *value) : "-";
}

std::string states_table(const Metrics& metrics) {
  std::string text = fmt::format("{:<12}{:>10}{:>10}{:>10}{:>10}\n", "state", "precision", "recall",
                                 "F1", "turns");
  for (size_t i = 0; i < metrics.states.size(); ++i) {
    const StateScore& score = metrics.states[i];
    text += fmt::format("{:<12}{:>10.3f}{:>10.3f}{:>10.3f}{:>10}\n", text::kStateNames[i],
                        score.precision, score.recall, score.f1, score.support);
  }
  return text + fmt::format("{:<12}{:>30.3f}\n", "macro F1", metrics.macro_f1);
}

std::string events_table(const Metrics& metrics) {
  std::string text = fmt::format("{:<12}{:>10}{:>10}{:>10}{:>10}\n", "responses", "precision",
                                 "recall", "F1", "met");
  for (const EventScore& score : metrics.events) {
    text += fmt::format("{:<12}{:>10}{:>10}{:>10}{:>10}\n",
                        fmt::format("within {:g} s", score.tolerance), number(score.precision),
                        number(score.recall), number(score.f1), score.hits);
  }
  return text;
}

std::string summary(const Metrics& metrics) {
  std::string text = fmt::format(
      "{:<12}{} in the annotation, {} said, {} false ({:.1f} a minute), {} of them duplicates\n",
      "", metrics.true_responses, metrics.predicted_responses, metrics.false_responses,
      metrics.false_responses_per_minute, metrics.duplicates);
  text += fmt::format(
      "{:<12}off by {} (median), {} (90 %); within 1 s: {}; {} (signed median), early: {}\n",
      "timing", number(metrics.median_error, " s", 1), number(metrics.p90_error, " s", 1),
      percent(metrics.within_1s), signed_seconds(metrics.signed_median_error),
      percent(metrics.early_share));
  text += fmt::format("{:<12}{} exact, {} of the words (F1)\n", "answers",
                      percent(metrics.answer_exact_match), percent(metrics.answer_token_f1));
  const SpanScore& spans = metrics.spans;
  if (spans.mean_iou) {
    text += fmt::format("{:<12}mIoU {:.3f} over {} spans; R@0.3 {}, R@0.5 {}, R@0.7 {}\n",
                        "grounding", *spans.mean_iou, spans.spans, percent(spans.recall_at[0]),
                        percent(spans.recall_at[1]), percent(spans.recall_at[2]));
  }
  return text + fmt::format("{:<12}ECE {}\n", "calibration", number(metrics.calibration.ece));
}

std::string groups_table(const char* kind, const std::map<std::string, Metrics>& groups) {
  if (groups.size() < 2) return "";
  std::string text = fmt::format("\n{:<24}{:>8}{:>10}{:>10}{:>12}{:>10}{:>10}{:>8}{:>8}{:>8}\n",
                                 kind, "samples", "macro F1", "resp. F1", "within 1 s", "exact",
                                 "false/min", "early", "mIoU", "ECE");
  for (const auto& [name, m] : groups) {
    text += fmt::format(
        "{:<24}{:>8}{:>10.3f}{:>10}{:>12}{:>10}{:>10.2f}{:>8}{:>8}{:>8}\n",
        name.empty() ? "(none)" : name, m.samples, m.macro_f1, number(m.events.back().f1),
        percent(m.within_1s), percent(m.answer_exact_match), m.false_responses_per_minute,
        percent(m.early_share), number(m.spans.mean_iou), number(m.calibration.ece));
  }
  return text;
}

}  // namespace

std::string to_table(const EvalReport& report) {
  const Metrics& metrics = report.metrics;
  std::string text = fmt::format("{} samples, {} turns, {}", metrics.samples, metrics.turns,
                                 report.teacher_forced ? "teacher forced" : "streaming");
  if (!report.skipped.empty()) text += fmt::format(", {} skipped", report.skipped.size());
  text += "\n\n" + states_table(metrics) + "\n" + events_table(metrics) + summary(metrics) +
          groups_table("task", report.tasks) + groups_table("source", report.sources);
  text.pop_back();
  return text;
}

}  // namespace streamo::eval
