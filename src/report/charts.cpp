// Axes with round ticks, curves, histogram, confusion matrix and reliability diagram, formatted as
// SVG by hand.
#include "report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "streamo/text/special_tokens.h"

namespace streamo::report {
namespace {

// Screen units of a line chart.
constexpr double kWidth = 480, kHeight = 190, kLeft = 44, kRight = 8, kTop = 8, kBottom = 22;

// The smallest of 1, 2, 5 times a power of ten of which at most five fit into `range`.
double tick_step(double range) {
  const double rough = range / 5;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

// Means over equal stretches: more points than the picture has columns only make the file large.
std::vector<Point> thin_out(const std::vector<Point>& points) {
  constexpr size_t kMost = 240;
  const size_t stretch = (points.size() + kMost - 1) / kMost;
  if (stretch <= 1) return points;
  std::vector<Point> means;
  for (size_t start = 0; start < points.size(); start += stretch) {
    const size_t end = std::min(start + stretch, points.size());
    Point mean{0, 0};
    for (size_t i = start; i < end; ++i) {
      mean.x += points[i].x / static_cast<double>(end - start);
      mean.y += points[i].y / static_cast<double>(end - start);
    }
    means.push_back(mean);
  }
  return means;
}

// Exponential mean over about a fortieth of the curve, without the start's bias.
std::vector<Point> smooth(const std::vector<Point>& points) {
  const double keep = 1.0 - 1.0 / std::max(1.0, static_cast<double>(points.size()) / 40);
  std::vector<Point> smoothed;
  double mean = 0, weight = 0;
  for (const Point& point : points) {
    mean = keep * mean + (1 - keep) * point.y;
    weight = keep * weight + (1 - keep);
    smoothed.push_back({point.x, mean / weight});
  }
  return smoothed;
}

class Axes {
 public:
  Axes(double x_low, double x_high, double y_high, bool whole_x)
      : x_low_(x_low), x_high_(x_high), whole_x_(whole_x) {
    y_step_ = tick_step(y_high);
    y_high_ = y_step_ * std::ceil(y_high / y_step_ - 1e-9);
  }

  double x(double value) const {
    return kLeft + (value - x_low_) / (x_high_ - x_low_) * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    return kHeight - kBottom - std::min(value / y_high_, 1.0) * (kHeight - kTop - kBottom);
  }

  std::string grid() const {
    std::string svg;
    for (double value = 0; value <= y_high_ * (1 + 1e-9); value += y_step_) {
      svg += fmt::format(
          "<line class=\"grid\" x1=\"{:.0f}\" x2=\"{:.0f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
          "<text class=\"tick\" x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
          kLeft, kWidth - kRight, y(value), y(value), kLeft - 6, y(value) + 3.5,
          format_tick(value));
    }
    const double step = std::max(whole_x_ ? 1.0 : 0.0, tick_step(x_high_ - x_low_));
    for (double value = step * std::ceil(x_low_ / step); value <= x_high_; value += step) {
      svg += fmt::format(
          "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>",
          std::min(x(value), kWidth - kRight - 8), kHeight - 5, format_tick(value));
    }
    return svg;
  }

  std::string dot(const Point& point, double radius) const {
    return fmt::format("<circle class=\"mark\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>",
                       x(point.x), y(point.y), radius);
  }

  std::string x_label(const std::string& text) const {
    if (text.empty()) return "";
    return fmt::format(
        "<text class=\"tick\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>",
        kWidth - kRight, kHeight - kBottom - 6, escape_html(text));
  }

  std::string curve(const std::vector<Point>& points, const std::string& css) const {
    std::string path;
    for (const Point& point : points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(point.x), y(point.y));
    }
    return fmt::format("<path class=\"curve {}\" d=\"{}\"/>", css, path);
  }

 private:
  double x_low_, x_high_, y_high_ = 0, y_step_ = 0;
  bool whole_x_;
};

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string format_tick(double value) {
  const double size = std::abs(value);
  if (size < 1e-12) return "0";
  if (size < 1e-3) return fmt::format("{:.2g}", value);
  if (size >= 1e6) return fmt::format("{:.3g} M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.3g} k", value / 1e3);
  return size >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string line_chart(const LineChart& chart) {
  constexpr size_t kWorthSmoothing = 40;
  std::vector<Series> drawn;
  for (const Series& series : chart.series) {
    if (series.points.size() >= 2)
      drawn.push_back({series.name, series.css, thin_out(series.points)});
  }
  if (drawn.empty()) return "";
  double x_low = drawn[0].points[0].x, x_high = x_low, y_high = chart.y_max;
  for (const Series& series : drawn) {
    for (const Point& point : series.points) {
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      if (chart.y_max == 0) y_high = std::max(y_high, point.y);
    }
  }
  const double least_range = chart.whole_x ? 1.0 : 1e-6;
  const Axes axes(x_low, std::max(x_high, x_low + least_range), y_high > 0 ? y_high : 1,
                  chart.whole_x);
  std::string legend, faint, strong;
  for (const Series& series : drawn) {
    const bool noisy = chart.smoothed && series.points.size() >= kWorthSmoothing;
    const std::vector<Point> line = noisy ? smooth(series.points) : series.points;
    if (noisy) faint += axes.curve(series.points, series.css + " faint");
    strong += axes.curve(line, series.css);
    const std::string value =
        chart.last_values ? fmt::format(" <b>{}{}</b>", format_tick(line.back().y), chart.unit)
                          : "";
    legend += fmt::format("<span class=\"key {}\">{}{}</span>", series.css,
                          escape_html(series.name), value);
  }
  for (const Point& mark : chart.marks) strong += axes.dot(mark, 4);
  strong += axes.x_label(chart.x_label);
  return fmt::format(
      "<figure class=\"card\"><figcaption><h3>{}</h3><span class=\"legend\">{}</span></figcaption>"
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">{}{}{}</svg></figure>\n",
      escape_html(chart.title), legend, kWidth, kHeight, escape_html(chart.title), axes.grid(),
      faint, strong);
}

std::string confusion_matrix(const std::array<std::array<int64_t, 3>, 3>& counts) {
  constexpr double kCellWidth = 106, kCellHeight = 56, kLabel = 76, kHead = 36, kGap = 3;
  std::string svg = fmt::format(
      "<text class=\"tick\" x=\"{:.0f}\" y=\"11\" text-anchor=\"middle\">predicted</text>",
      kLabel + 1.5 * kCellWidth);
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto at = static_cast<double>(i);
    svg += fmt::format(
        "<text class=\"label\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>"
        "<text class=\"label\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>",
        kLabel + (at + 0.5) * kCellWidth, kHead - 8, text::kStateNames[i], kLabel - 10,
        kHead + (at + 0.5) * kCellHeight + 4, text::kStateNames[i]);
    int64_t row = 0;
    for (const int64_t count : counts[i]) row += count;
    for (size_t j = 0; j < counts.size(); ++j) {
      const double share =
          row > 0 ? static_cast<double>(counts[i][j]) / static_cast<double>(row) : 0.0;
      const double x = kLabel + static_cast<double>(j) * kCellWidth, y = kHead + at * kCellHeight;
      svg += fmt::format(
          "<rect class=\"well\" x=\"{0:.0f}\" y=\"{1:.0f}\" width=\"{2:.0f}\" height=\"{3:.0f}\" "
          "rx=\"6\"/>"
          "<rect class=\"{4}\" style=\"opacity:{5:.3f}\" x=\"{0:.0f}\" y=\"{1:.0f}\" "
          "width=\"{2:.0f}\" "
          "height=\"{3:.0f}\" rx=\"6\"><title>true {6}, predicted {7}: {8} turns</title></rect>"
          "<text class=\"cell{9}\" x=\"{10:.0f}\" y=\"{11:.0f}\" text-anchor=\"middle\">{12:.1f} "
          "%</text>"
          "<text class=\"cell-count{9}\" x=\"{10:.0f}\" y=\"{13:.0f}\" "
          "text-anchor=\"middle\">{8}</text>",
          x, y, kCellWidth - kGap, kCellHeight - kGap, i == j ? "right" : "wrong",
          0.06 + 0.94 * share, text::kStateNames[i], text::kStateNames[j], counts[i][j],
          share > 0.45 ? " on" : "", x + (kCellWidth - kGap) / 2, y + 25, 100 * share, y + 42);
    }
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"Confusion of the "
      "states\">{}</svg>",
      kLabel + 3 * kCellWidth, kHead + 3 * kCellHeight, svg);
}

std::string reliability_diagram(const std::vector<ReliabilityBin>& bins) {
  const Axes axes(0, 1, 1, /*whole_x=*/false);
  double all = 0;
  for (const ReliabilityBin& bin : bins) all += bin.turns;
  std::string svg = axes.grid() + axes.x_label("mean probability of the state chosen") +
                    axes.curve({{0, 0}, {1, 1}}, "thin diagonal");
  std::vector<Point> points;
  for (const ReliabilityBin& bin : bins) {
    if (bin.turns > 0) points.push_back({bin.confidence, bin.accuracy});
  }
  svg += axes.curve(points, "series-0");
  for (const ReliabilityBin& bin : bins) {
    if (bin.turns <= 0) continue;
    svg += fmt::format(
        "<circle class=\"right\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>"
        "{:.0f} turns: sure {:.3f}, right {:.3f}</title></circle>",
        axes.x(bin.confidence), axes.y(bin.accuracy), 2.5 + 8 * std::sqrt(bin.turns / all),
        bin.turns, bin.confidence, bin.accuracy);
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"Calibration\">{}</svg>", kWidth,
      kHeight, svg);
}

std::string timing_histogram(const std::vector<double>& errors, double on_time) {
  constexpr int kFarthest = 10;  // seconds; what is beyond goes into the last bin
  constexpr double kBarTop = 22, kBase = 158;
  int reach = 3;
  for (const double error : errors) {
    reach =
        std::max(reach, static_cast<int>(std::min(std::ceil(std::abs(error)), 1.0 * kFarthest)));
  }
  std::vector<int64_t> bins(static_cast<size_t>(2 * reach + 1));
  for (const double error : errors) {
    const double bin = std::clamp(std::round(error), -1.0 * reach, 1.0 * reach);
    ++bins[static_cast<size_t>(static_cast<int>(bin) + reach)];
  }
  const auto most =
      static_cast<double>(std::max<int64_t>(*std::max_element(bins.begin(), bins.end()), 1));
  const double pitch = kWidth / static_cast<double>(bins.size());
  std::string svg;
  for (size_t i = 0; i < bins.size(); ++i) {
    const int second = static_cast<int>(i) - reach;
    const double height = (kBase - kBarTop) * static_cast<double>(bins[i]) / most;
    const double x = pitch * static_cast<double>(i), middle = x + pitch / 2;
    svg += fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
        "rx=\"3\"/>",
        std::abs(second) <= on_time ? "right" : "late", x + pitch * 0.12, kBase - height,
        pitch * 0.76, std::max(height, bins[i] > 0 ? 2.0 : 0.0));
    if (bins[i] > 0) {
      svg += fmt::format(
          "<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
          middle, kBase - height - 6, bins[i]);
    }
    svg += fmt::format(
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>", middle,
        kBase + 16, second == 0 ? "0" : fmt::format("{:+d}", second));
  }
  svg += fmt::format(
      "<line class=\"axis\" x1=\"0\" x2=\"{0:.0f}\" y1=\"{1:.1f}\" y2=\"{1:.1f}\"/>"
      "<text class=\"tick\" x=\"2\" y=\"{2:.0f}\">seconds early</text>"
      "<text class=\"tick\" x=\"{3:.0f}\" y=\"{2:.0f}\" text-anchor=\"end\">seconds late</text>",
      kWidth, kBase + 0.5, kBase + 34, kWidth - 2);
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"Response timing\">{}</svg>",
      kWidth, kBase + 40, svg);
}

}  // namespace streamo::report
