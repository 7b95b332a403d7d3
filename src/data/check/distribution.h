// How a whole number is spread over many things.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace streamo::data {

struct Distribution {
  struct Bin {
    int64_t from, to;  // both included
    size_t count;
  };
  size_t count = 0;
  int64_t total = 0, min = 0, median = 0, p90 = 0, p99 = 0, max = 0;
  // From the first to the last with values, at most a dozen or so: equally wide where the largest
  // value is less than ten times the smallest, else with bounds 1, 2, 5, 10, 20, 50 ...
  std::vector<Bin> bins;

  // Of numbers >= 0. Quantile q is the smallest value that is not below a share q of all.
  static Distribution of(std::vector<int64_t> values);
};

}  // namespace streamo::data
