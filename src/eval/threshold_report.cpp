// The operating curve as JSON and as a table.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/thresholds.h"

namespace streamo::eval {
namespace {

using Json = nlohmann::ordered_json;

// As it was stored: 0.9 of a float is not 0.9.
double shown(double threshold) {
  return std::round(1e4 * threshold) / 1e4;
}

Json point_json(const OperatingPoint& point, bool with_threshold = true) {
  Json json;
  if (with_threshold) json["threshold"] = shown(point.threshold);
  json["recall"] = point.recall;
  json["precision"] = point.precision;
  json["f1"] = point.f1;
  json["false_per_minute"] = point.false_per_minute;
  json["responses"] = point.responses;
  json["hits"] = point.hits;
  return json;
}

std::string row(const std::string& label, const std::string& threshold,
                const OperatingPoint& point) {
  return fmt::format("{:<26}{:>10}{:>9.3f}{:>11.3f}{:>8.3f}{:>11.2f}{:>11}\n", label, threshold,
                     point.recall, point.precision, point.f1, point.false_per_minute,
                     point.responses);
}

std::string threshold_text(const OperatingPoint& point) {
  return fmt::format("{:.4f}", shown(point.threshold));
}

}  // namespace

nlohmann::ordered_json to_json(const OperatingCurve& curve,
                               const std::optional<double>& wanted_rate) {
  Json points = Json::array();
  for (const OperatingPoint& point : curve.points) points.push_back(point_json(point));
  Json json = {{"samples", curve.samples},
               {"true_responses", curve.true_responses},
               {"minutes", curve.minutes},
               {"tolerance", curve.tolerance},
               {"exact", curve.exact},
               {"as_played", point_json(curve.as_played, /*with_threshold=*/false)},
               {"best_f1", point_json(best_f1(curve))}};
  if (wanted_rate) {
    const auto point = point_at_rate(curve, *wanted_rate);
    json["wanted"] = point ? point_json(*point) : Json(nullptr);
  }
  json["curve"] = std::move(points);
  return json;
}

std::string to_table(const OperatingCurve& curve, const std::optional<double>& wanted_rate) {
  constexpr std::array<double, 9> kRates = {0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20};
  std::string text = fmt::format(
      "{} samples, {:.1f} minutes, {} responses in the annotation; met within {:g} s\n{}\n\n"
      "{:<26}{:>10}{:>9}{:>11}{:>8}{:>11}{:>11}\n",
      curve.samples, curve.minutes, curve.true_responses, curve.tolerance,
      curve.exact ? "teacher forced: an evaluation with the threshold gives exactly this"
                  : "streaming: another threshold would change the history; an approximation",
      "", "threshold", "recall", "precision", "F1", "false/min", "responses");
  text += row("as played", "-", curve.as_played);
  text += row("best F1", threshold_text(best_f1(curve)), best_f1(curve));
  double last = -1;
  for (const double rate : kRates) {
    const auto point = point_at_rate(curve, rate);
    if (!point || point->threshold == last) continue;  // the same as for less
    last = point->threshold;
    text += row(fmt::format("at most {:g} false a minute", rate), threshold_text(*point), *point);
  }
  if (wanted_rate) {
    const auto point = point_at_rate(curve, *wanted_rate);
    text += point ? fmt::format(
                        "\nthreshold {}: meets {:.1f} % of the responses at {:.2f} false a minute",
                        threshold_text(*point), 100 * point->recall, point->false_per_minute)
                  : fmt::format(
                        "\nno threshold: the surest response of all is a false one, and "
                        "more than {:g} a minute",
                        *wanted_rate);
  } else {
    text.pop_back();
  }
  return text;
}

}  // namespace streamo::eval
