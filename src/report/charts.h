// The pictures of the report, as inline SVG. Colours are CSS classes (see page.cpp), so
// that one file suits light and dark screens.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace streamo::report {

std::string escape_html(std::string_view text);

struct Point {
  double x, y;
};

struct Series {
  std::string name;
  std::string css;  // class that sets the colour: series-0 .. series-2, silence, standby, response
  std::vector<Point> points;
};

struct LineChart {
  std::string title;
  std::string unit;
  std::vector<Series> series;
  double y_max = 0;      // 0: from the data. The axis starts at 0.
  bool smoothed = true;  // many points: the numbers faint, their running mean strong
  bool whole_x = true;   // x counts something (steps): no ticks between whole numbers
  std::string x_label = {};
  std::vector<Point> marks = {};  // dots
  bool last_values = true;        // in the legend
};

// A card with title, legend (with the last values, if asked) and curves; "" when no series has two
// points.
std::string line_chart(const LineChart& chart);

// Counts [truth][predicted]; shading by the share within the row.
std::string confusion_matrix(const std::array<std::array<int64_t, 3>, 3>& counts);

struct ReliabilityBin {
  double turns, confidence, accuracy;
};

// Accuracy over confidence, a dot a bin with turns, its area by their share; on the dashed line it
// is as right as it is sure.
std::string reliability_diagram(const std::vector<ReliabilityBin>& bins);

// Signed seconds in bins of one second; within `on_time` of 0 stands out.
std::string timing_histogram(const std::vector<double>& errors, double on_time);

// A number as an axis shows it: "0.5", "1.2e-05", "12 k".
std::string format_tick(double value);

}  // namespace streamo::report
