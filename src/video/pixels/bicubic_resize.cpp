// Two separable passes in fixed point, written so that compilers vectorise the inner loops.
#include "video/pixels/bicubic_resize.h"

#include <algorithm>

#include "streamo/core/error.h"
#include "video/pixels/bicubic_filter.h"

namespace streamo::video {
namespace {

constexpr int kChannels = 3;
constexpr int kTapsBlock = BicubicFilter::kTapsBlock;

uint8_t to_byte(int32_t sum, int precision) {
  return static_cast<uint8_t>(std::clamp(sum >> precision, 0, 255));
}

// Of `blocks` times eight values: compilers make x86's baseline instruction for sums of products
// of 16-bit numbers of it, and know that no values are left over.
int32_t dot(const int16_t* a, const int16_t* b, int blocks) {
  int32_t sum = 0;
  for (int k = 0; k < blocks * kTapsBlock; ++k) sum += a[k] * b[k];
  return sum;
}

// The pass along the rows. [height, from, 3] -> [height, to, 3]
class RowPass {
 public:
  RowPass(int from, int to)
      : from_(from),
        filter_(from, to),
        plane_(static_cast<size_t>(from + filter_.taps)),
        planes_(plane_ * kChannels) {}

  void run(const uint8_t* row, uint8_t* out) {
    split_channels(row);
    const int blocks = filter_.taps / kTapsBlock;
    const int16_t* weights = filter_.weights.data();
    for (const BicubicFilter::Window window : filter_.windows) {
      const int16_t* values = planes_.data() + window.first;
      for (int channel = 0; channel < kChannels; ++channel, values += plane_) {
        *out++ = to_byte(filter_.half() + dot(weights, values, blocks), filter_.precision);
      }
      weights += filter_.taps;
    }
  }

 private:
  void split_channels(const uint8_t* row) {
    int16_t *red = planes_.data(), *green = red + plane_, *blue = green + plane_;
    for (int x = 0; x < from_; ++x, row += kChannels) {
      red[x] = row[0];
      green[x] = row[1];
      blue[x] = row[2];
    }
  }

  int from_;
  BicubicFilter filter_;
  size_t plane_;                 // zeros behind the row: windows at its end read on into them
  std::vector<int16_t> planes_;  // [3, plane]
};

constexpr ptrdiff_t kBlock = 32;  // values summed side by side, in registers

// One row of the result of the pass along the columns, from the source rows beginning at `rows`.
void mix_rows(const BicubicFilter& filter, int y, const uint8_t* rows, ptrdiff_t row_bytes,
              uint8_t* out) {
  const int16_t* weights = filter.pixel_weights(y);
  const int count = filter.windows[static_cast<size_t>(y)].count;
  ptrdiff_t x = 0;
  for (; x + kBlock <= row_bytes; x += kBlock) {
    int32_t sums[kBlock];
    for (int32_t& sum : sums) sum = filter.half();
    for (int k = 0; k < count; ++k) {
      const uint8_t* row = rows + k * row_bytes + x;
      for (ptrdiff_t i = 0; i < kBlock; ++i) sums[i] += weights[k] * row[i];
    }
    for (ptrdiff_t i = 0; i < kBlock; ++i) out[x + i] = to_byte(sums[i], filter.precision);
  }
  for (; x < row_bytes; ++x) {
    int32_t sum = filter.half();
    for (int k = 0; k < count; ++k) sum += weights[k] * rows[k * row_bytes + x];
    out[x] = to_byte(sum, filter.precision);
  }
}

}  // namespace

std::vector<uint8_t> resize_bicubic(std::span<const uint8_t> rgb, FrameSize from, FrameSize to) {
  STREAMO_CHECK(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0,
                "a picture without pixels");
  const ptrdiff_t source_bytes = static_cast<ptrdiff_t>(from.width) * kChannels;
  const ptrdiff_t row_bytes = static_cast<ptrdiff_t>(to.width) * kChannels;
  STREAMO_CHECK(static_cast<ptrdiff_t>(rgb.size()) == from.height * source_bytes,
                "the pixels do not match the size");

  RowPass row_pass(from.width, to.width);
  std::vector<uint8_t> narrowed(static_cast<size_t>(from.height * row_bytes));
  for (int y = 0; y < from.height; ++y) {
    row_pass.run(rgb.data() + y * source_bytes, narrowed.data() + y * row_bytes);
  }
  const BicubicFilter filter(from.height, to.height);
  std::vector<uint8_t> result(static_cast<size_t>(to.height * row_bytes));
  for (int y = 0; y < to.height; ++y) {
    const int first = filter.windows[static_cast<size_t>(y)].first;
    mix_rows(filter, y, narrowed.data() + first * row_bytes, row_bytes,
             result.data() + y * row_bytes);
  }
  return result;
}

}  // namespace streamo::video
