// The evaluation report as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "eval/evaluator.h"

namespace streamo::eval {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json states_json(const Metrics& metrics) {
  Json states;
  for (size_t i = 0; i < metrics.states.size(); ++i) {
    const StateScore& score = metrics.states[i];
    states[std::string(text::kStateNames[i])] = {{"precision", score.precision},
                                                 {"recall", score.recall},
                                                 {"f1", score.f1},
                                                 {"support", score.support}};
  }
  return states;
}

Json timing_json(const Metrics& metrics) {
  return {{"median", or_null(metrics.median_error)},
          {"p90", or_null(metrics.p90_error)},
          {"within_1s", or_null(metrics.within_1s)},
          {"signed_median", or_null(metrics.signed_median_error)},
          {"signed_p90", or_null(metrics.signed_p90_error)},
          {"early_share", or_null(metrics.early_share)}};
}

Json responses_json(const Metrics& metrics) {
  Json json = {{"true", metrics.true_responses},
               {"predicted", metrics.predicted_responses},
               {"matched", metrics.response_errors.size()},
               {"false", metrics.false_responses},
               {"duplicates", metrics.duplicates}};
  for (const EventScore& score : metrics.events) {
    json[fmt::format("within_{:g}s", score.tolerance)] = {{"precision", or_null(score.precision)},
                                                          {"recall", or_null(score.recall)},
                                                          {"f1", or_null(score.f1)}};
  }
  return json;
}

Json spans_json(const SpanScore& score) {
  Json json = {{"spans", score.spans}, {"mean_iou", or_null(score.mean_iou)}};
  for (size_t i = 0; i < kSpanThresholds.size(); ++i) {
    json[fmt::format("recall_at_{}", kSpanThresholds[i])] =
        score.mean_iou ? Json(score.recall_at[i]) : Json(nullptr);
  }
  return json;
}

Json calibration_json(const Calibration& calibration) {
  Json states, bins = Json::array();
  for (size_t i = 0; i < calibration.state_ece.size(); ++i) {
    states[std::string(text::kStateNames[i])] = or_null(calibration.state_ece[i]);
  }
  for (const CalibrationBin& bin : calibration.bins) {
    bins.push_back(
        {{"turns", bin.turns}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  }
  return {{"ece", or_null(calibration.ece)}, {"states", states}, {"bins", std::move(bins)}};
}

// The numbers of each task or source.
Json groups_json(const std::map<std::string, Metrics>& groups) {
  Json json = Json::object();
  for (const auto& [name, metrics] : groups) {
    const EventScore& events = metrics.events.back();
    Json state_f1;
    for (size_t i = 0; i < metrics.states.size(); ++i) {
      state_f1[std::string(text::kStateNames[i])] = metrics.states[i].f1;
    }
    json[name] = {{"samples", metrics.samples},
                  {"macro_f1", metrics.macro_f1},
                  {"answer_exact_match", or_null(metrics.answer_exact_match)},
                  {"within_1s", or_null(metrics.within_1s)},
                  {"turns", metrics.turns},
                  {"answer_token_f1", or_null(metrics.answer_token_f1)},
                  {"responses", metrics.true_responses},
                  {"response_precision", or_null(events.precision)},
                  {"response_recall", or_null(events.recall)},
                  {"response_f1", or_null(events.f1)},
                  {"signed_median", or_null(metrics.signed_median_error)},
                  {"p90", or_null(metrics.p90_error)},
                  {"early_share", or_null(metrics.early_share)},
                  {"false_responses_per_minute", metrics.false_responses_per_minute},
                  {"duplicates", metrics.duplicates},
                  {"state_f1", std::move(state_f1)},
                  {"mean_iou", or_null(metrics.spans.mean_iou)},
                  {"ece", or_null(metrics.calibration.ece)}};
  }
  return json;
}

}  // namespace

nlohmann::ordered_json to_json(const EvalReport& report, bool with_timelines) {
  const Metrics& metrics = report.metrics;
  Json skipped = Json::array();
  for (const SkippedSample& sample : report.skipped) {
    skipped.push_back({{"id", sample.id}, {"reason", sample.reason}});
  }
  Json json = {{"samples", metrics.samples},
               {"turns", metrics.turns},
               {"mode", report.teacher_forced ? "teacher_forced" : "streaming"},
               {"states", states_json(metrics)},
               {"macro_f1", metrics.macro_f1},
               {"response_timing", timing_json(metrics)},
               {"responses", responses_json(metrics)},
               {"answer_exact_match", or_null(metrics.answer_exact_match)},
               {"answer_token_f1", or_null(metrics.answer_token_f1)},
               {"false_responses_per_minute", metrics.false_responses_per_minute},
               {"grounding", spans_json(metrics.spans)},
               {"calibration", calibration_json(metrics.calibration)},
               {"skipped", report.skipped.size()},
               {"skipped_samples", std::move(skipped)},
               {"confusion", metrics.confusion},
               {"response_errors", metrics.response_errors},
               {"tasks", groups_json(report.tasks)},
               {"sources", groups_json(report.sources)}};
  if (with_timelines) {
    json["timelines"] = Json::array();
    for (const Timeline& timeline : report.timelines)
      json["timelines"].push_back(to_json(timeline));
  }
  return json;
}

}  // namespace streamo::eval
