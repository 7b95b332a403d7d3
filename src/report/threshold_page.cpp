// Draws recall over false alarms, and the three scores over the threshold.
#include "report/threshold_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/charts.h"
#include "report/page.h"

namespace streamo::report {
namespace {

using eval::OperatingCurve;
using eval::OperatingPoint;

// Beyond it nobody would use the model, and the rest of the curve would be a line at the edge.
double rate_shown(const OperatingCurve& curve, const std::optional<double>& wanted_rate) {
  const double used = std::max(best_f1(curve).false_per_minute, curve.as_played.false_per_minute);
  return 4 * std::max({used, wanted_rate.value_or(0), 0.25});
}

// Recall over false alarms; the points between two of a curve are those of the left one.
std::string rate_chart(const OperatingCurve& curve, const std::optional<OperatingPoint>& wanted,
                       const std::optional<double>& wanted_rate) {
  const double end = rate_shown(curve, wanted_rate);
  Series series{"recall", "series-0", {{0, 0}}};
  for (const OperatingPoint& point : curve.points) {
    if (point.false_per_minute > end) break;
    series.points.push_back({point.false_per_minute, series.points.back().y});
    series.points.push_back({point.false_per_minute, point.recall});
  }
  series.points.push_back({end, series.points.back().y});
  LineChart chart{"Responses met, by false alarms a minute", "", {series}, 1.0};
  chart.smoothed = chart.whole_x = chart.last_values = false;
  chart.x_label = "false alarms a minute";
  if (wanted) chart.marks.push_back({wanted->false_per_minute, wanted->recall});
  return line_chart(chart);
}

std::string threshold_chart(const OperatingCurve& curve,
                            const std::optional<OperatingPoint>& wanted) {
  std::vector<Series> series = {
      {"recall", "series-0", {}}, {"precision", "series-1", {}}, {"F1", "series-2", {}}};
  for (auto point = curve.points.rbegin(); point != curve.points.rend(); ++point) {
    series[0].points.push_back({point->threshold, point->recall});
    series[1].points.push_back({point->threshold, point->precision});
    series[2].points.push_back({point->threshold, point->f1});
  }
  LineChart chart{"By the threshold", "", std::move(series), 1.0};
  chart.smoothed = chart.whole_x = chart.last_values = false;
  chart.x_label = "threshold on the probability of a response";
  if (wanted) chart.marks.push_back({wanted->threshold, wanted->recall});
  return line_chart(chart);
}

}  // namespace

std::string threshold_page(const OperatingCurve& curve, const std::string& title,
                           const std::optional<double>& wanted_rate) {
  std::optional<OperatingPoint> wanted;
  if (wanted_rate) wanted = point_at_rate(curve, *wanted_rate);
  const std::string name = escape_html(title);
  return html_page("Thresholds &ndash; " + name,
                   "<h1>Thresholds</h1>\n<p class=\"subtitle\">" + name +
                       "</p>\n<div class=\"grid-2\">" + rate_chart(curve, wanted, wanted_rate) +
                       threshold_chart(curve, wanted) +
                       "</div>\n<pre class=\"card\" style=\"margin-top:14px;overflow:auto\">" +
                       escape_html(to_table(curve, wanted_rate)) + "</pre>\n");
}

}  // namespace streamo::report
