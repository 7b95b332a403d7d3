// Pillow's filter windows and fixed-point weights, rounded as ATen rounds them.
#include "video/pixels/bicubic_filter.h"

#include <algorithm>
#include <cmath>

// NOLINTBEGIN(bugprone-incorrect-roundings): rounded as ATen does, bit for bit

namespace streamo::video {
namespace {

constexpr double kRadius = 2.0;  // of the cubic, in source pixels where nothing shrinks
constexpr int kMaxPrecision = 22;
constexpr int kWeightLimit = 1 << 15;  // of a signed 16-bit weight

// The cubic convolution kernel of a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

// The finest step at which the largest weight still is a 16-bit number.
int precision_for(double largest_weight) {
  int precision = 0;
  while (precision < kMaxPrecision &&
         static_cast<int>(0.5 + largest_weight * (1 << (precision + 1))) < kWeightLimit) {
    ++precision;
  }
  return precision;
}

// Normalised to a sum of 1; returns the largest.
double compute_weights(BicubicFilter::Window window, double centre, double stretch,
                       double* weights) {
  double sum = 0.0;
  for (int j = 0; j < window.count; ++j) {
    weights[j] = cubic((j + window.first - centre + 0.5) * (1.0 / stretch));
    sum += weights[j];
  }
  double largest = 0.0;
  for (int j = 0; j < window.count; ++j) {
    weights[j] /= sum;
    largest = std::max(largest, weights[j]);
  }
  return largest;
}

}  // namespace

BicubicFilter::BicubicFilter(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);
  const double support = kRadius * stretch;
  int most = 1;
  for (int i = 0; i < to; ++i) {
    const double centre = scale * (i + 0.5);
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + support + 0.5), from);
    windows.push_back({first, std::max(end - first, 0)});
    most = std::max(most, end - first);
  }
  taps = (most + kTapsBlock - 1) / kTapsBlock * kTapsBlock;
  std::vector<double> exact(static_cast<size_t>(to) * static_cast<size_t>(taps));
  double largest = 0.0;
  for (int i = 0; i < to; ++i) {
    double* own = exact.data() + static_cast<ptrdiff_t>(i) * taps;
    largest = std::max(
        largest, compute_weights(windows[static_cast<size_t>(i)], scale * (i + 0.5), stretch, own));
  }
  precision = precision_for(largest);
  weights.reserve(exact.size());
  for (const double weight : exact) {
    const double scaled = weight * (1 << precision);
    weights.push_back(static_cast<int16_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5));
  }
}

}  // namespace streamo::video

// NOLINTEND(bugprone-incorrect-roundings)
