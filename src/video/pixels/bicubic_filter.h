// Weights of the antialiased bicubic resize along one side: those of bicubic_resize.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace streamo::video {

// How each pixel along one side of the result is mixed from those of the source.
struct BicubicFilter {
  static constexpr int kTapsBlock = 8;  // the number of weights is a multiple of it

  BicubicFilter(int from, int to);  // pixels

  struct Window {
    int first, count;  // source pixels
  };
  std::vector<Window> windows;   // one for each pixel of the result
  std::vector<int16_t> weights;  // `taps` for each; behind the first `count` they are 0
  int taps;
  int precision;  // weights are multiples of 2^-precision, as fine as 16 bits allow

  const int16_t* pixel_weights(int pixel) const {
    return weights.data() + static_cast<ptrdiff_t>(pixel) * taps;
  }
  int32_t half() const { return 1 << (precision - 1); }  // for rounding
};

}  // namespace streamo::video
