// Quantiles by nearest rank, and histogram bins with round borders: equal widths for a narrow
// range, 1-2-5 growth for a wide one.
#include "data/check/distribution.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace streamo::data {
namespace {

constexpr int64_t kMostEqualBins = 12;
constexpr int64_t kWideSpread = 10;  // from here on, bins grow

// The bin of a value: [0, 0], [1, 1], [2, 4], [5, 9], [10, 19], [20, 49] ...
Distribution::Bin growing_bin(int64_t value) {
  if (value <= 0) return {0, 0, 0};
  int64_t from = 1;
  for (int64_t decade = 1;; decade *= 10) {
    for (const int64_t to : {2 * decade, 5 * decade, 10 * decade}) {
      if (value < to) return {from, to - 1, 0};
      from = to;
    }
  }
}

// 1, 2, 5, 10 ...: the first with which `range` values need few enough bins.
int64_t bin_width(int64_t range) {
  for (int64_t decade = 1;; decade *= 10) {
    for (const int64_t width : {decade, 2 * decade, 5 * decade}) {
      if (range / width + 1 <= kMostEqualBins) return width;
    }
  }
}

}  // namespace

Distribution Distribution::of(std::vector<int64_t> values) {
  Distribution result;
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
    return values[std::max<size_t>(rank, 1) - 1];
  };
  result.count = values.size();
  result.total = std::accumulate(values.begin(), values.end(), int64_t{0});
  result.min = values.front();
  result.median = quantile(0.5);
  result.p90 = quantile(0.9);
  result.p99 = quantile(0.99);
  result.max = values.back();
  const bool grow = result.max >= kWideSpread * std::max<int64_t>(result.min, 1);
  const int64_t width = bin_width(result.max - result.min);
  const auto bin_of = [&](int64_t value) {
    if (grow) return growing_bin(value);
    const int64_t from = value / width * width;
    return Bin{from, from + width - 1, 0};
  };
  for (const int64_t value : values) {
    if (result.bins.empty()) result.bins.push_back(bin_of(value));
    while (value > result.bins.back().to) {
      result.bins.push_back(bin_of(result.bins.back().to + 1));  // perhaps an empty one
    }
    ++result.bins.back().count;
  }
  return result;
}

}  // namespace streamo::data
