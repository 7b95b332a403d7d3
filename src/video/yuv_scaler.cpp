#include "yuv_scaler.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <bit>
#include <cmath>

#include "eight.h"
#include "rgb_converter.h"
#include "streamo/core/error.h"

namespace streamo::video {
namespace {

constexpr int kMinDepth = 8, kMaxDepth = 14;
// Numbers of 16 bits, in parts of a level of 8 bits:
constexpr int kSampleShift = 7;  // samples, whatever their depth: 1/128
constexpr int kColourShift = 4;  // converted: 1/16, with room for what is cut off
constexpr int kMixedShift = 5;   // after the pass along the columns: 1/32
constexpr int kWeightBits = 14;

// Upper products are half of the last place too small in the mean, which the sums below make up
// for.

// ---- Chroma ------------------------------------------------------------------------------------

// The cubic of a = -0.5 at 7/4, 3/4, 1/4 and 5/4 of a sample, in 2^-15: for a pixel on the near
// side of the middle between two samples of chroma. On the far side, the other way round.
constexpr std::array<int16_t, 4> kNear{-768, 7424, 28416, -2304}, kFar{-2304, 28416, 7424, -768};
constexpr int kBeyond = 2;  // samples read beyond the edges

Eight cubic(Eight a, Eight b, Eight c, Eight d, const std::array<int16_t, 4>& weights) {
  const Eight half = upper_product(a, Eight::all(weights[0])) +
                     upper_product(b, Eight::all(weights[1])) +
                     upper_product(c, Eight::all(weights[2])) +
                     upper_product(d, Eight::all(weights[3])) + Eight::all(2);
  return half + half;
}

void repeat_edges(int16_t* row, int count) {
  for (int i = 1; i <= kBeyond; ++i) {
    row[-i] = row[0];
    row[count - 1 + i] = row[count - 1];
  }
}

// [count] -> [2 count]
void widen(const int16_t* from, int count, int16_t* to) {
  for (int i = 0; i < count; i += 8, from += 8, to += 16) {
    const Eight b = Eight::load(from - 1), c = Eight::load(from), d = Eight::load(from + 1);
    store_in_turn(cubic(Eight::load(from - 2), b, c, d, kNear),
                  cubic(b, c, d, Eight::load(from + 2), kFar), to);
  }
}

// From samples to 1/128 of a level above `zero`.
struct Level {
  int16_t zero = 0;
  int shift = 0;

  // Of `left` samples from there on, at most eight: nothing behind them is read.
  template <typename Sample>
  Eight read(const Sample* from, int left) const {
    std::array<Sample, 8> copy{};
    if (left < 8) {
      std::copy_n(from, left, copy.begin());
      from = copy.data();
    }
    return (Eight::load(from) - Eight::all(zero)).shifted_left(shift);
  }
};

// Rows are written up to a multiple of eight values.
template <typename Sample>
void load(const Sample* from, int count, Level level, int16_t* to) {
  for (int i = 0; i < count; i += 8) level.read(from + i, count - i).store(to + i);
}

template <typename Sample>
void blend(const std::array<const Sample*, 4>& rows, const std::array<int16_t, 4>& weights,
           int count, Level level, int16_t* to) {
  for (int i = 0; i < count; i += 8) {
    const int left = count - i;
    cubic(level.read(rows[0] + i, left), level.read(rows[1] + i, left),
          level.read(rows[2] + i, left), level.read(rows[3] + i, left), weights)
        .store(to + i);
  }
}

// ---- Colours -----------------------------------------------------------------------------------

// From 1/128 to 1/16 of a level with upper_product(): in 2^-13.
struct Matrix {
  int16_t luma, red, green_u, green_v, blue;
};

Matrix make_matrix(const AVFrame& picture, bool full_range) {
  const int* table = sws_getCoefficients(picture.colorspace);  // 16.16; of limited range
  const double chroma = full_range ? 224.0 / 255.0 : 1.0;
  const auto coefficient = [](double x) {
    return static_cast<int16_t>(std::lround(x * (1 << (16 + kColourShift - kSampleShift))));
  };
  const auto of_table = [&](int i) { return coefficient(table[i] / 65536.0 * chroma); };
  return {coefficient(full_range ? 1.0 : 255.0 / 219.0), of_table(0), of_table(2), of_table(3),
          of_table(1)};
}

// Whole levels, as the exact way has them, in 1/128. `levels`: in 1/16, and half a level more.
Eight whole(Eight levels) {
  const Eight cut_off =
      min(max(levels.shifted_right(kColourShift), Eight::all(0)), Eight::all(255));
  return cut_off.shifted_left(kSampleShift);
}

void to_rgb(const std::array<const int16_t*, 3>& yuv, const Matrix& matrix, int count,
            const std::array<int16_t*, 3>& rgb) {
  constexpr int16_t kHalf = 1 << (kColourShift - 1);
  for (int i = 0; i < count; i += 8) {
    const Eight u = Eight::load(yuv[1] + i), v = Eight::load(yuv[2] + i);
    const Eight y =
        upper_product(Eight::load(yuv[0] + i), Eight::all(matrix.luma)) + Eight::all(kHalf);
    const Eight red = y + upper_product(v, Eight::all(matrix.red)) + Eight::all(1);
    const Eight green = y - upper_product(u, Eight::all(matrix.green_u)) -
                        upper_product(v, Eight::all(matrix.green_v));
    const Eight blue = y + upper_product(u, Eight::all(matrix.blue)) + Eight::all(1);
    whole(red).store(rgb[0] + i);
    whole(green).store(rgb[1] + i);
    whole(blue).store(rgb[2] + i);
  }
}

// ---- Scaling -----------------------------------------------------------------------------------

constexpr int kBlock = 64;  // values summed side by side, in registers

// `count` is a multiple of kBlock.
void mix(const std::vector<const int16_t*>& rows, const int16_t* weights, int count, int16_t* to) {
  const Eight lost = Eight::all(static_cast<int16_t>(rows.size() / 2));
  for (int x = 0; x < count; x += kBlock) {
    Eight a = lost, b = lost, c = lost, d = lost, e = lost, f = lost, g = lost, h = lost;
    for (size_t k = 0; k < rows.size(); ++k) {
      const int16_t* row = rows[k] + x;
      const Eight weight = Eight::all(weights[k]);
      a = a + upper_product(Eight::load(row), weight);
      b = b + upper_product(Eight::load(row + 8), weight);
      c = c + upper_product(Eight::load(row + 16), weight);
      d = d + upper_product(Eight::load(row + 24), weight);
      e = e + upper_product(Eight::load(row + 32), weight);
      f = f + upper_product(Eight::load(row + 40), weight);
      g = g + upper_product(Eight::load(row + 48), weight);
      h = h + upper_product(Eight::load(row + 56), weight);
    }
    for (const Eight& sum : {a, b, c, d, e, f, g, h}) {
      sum.store(to);
      to += 8;
    }
  }
}

uint8_t to_byte(int32_t sum) {
  constexpr int kShift = kWeightBits + kMixedShift;
  return static_cast<uint8_t>(std::clamp((sum + (1 << (kShift - 1))) >> kShift, 0, 255));
}

int rounded_up(int value, int step) {
  return (value + step - 1) / step * step;
}

// The weights in 2^-14 with a sum of 1, so that a plain colour stays what it is.
void round_weights(BicubicFilter& filter) {
  for (size_t i = 0; i < filter.windows.size(); ++i) {
    int16_t* own = filter.weights.data() + i * static_cast<size_t>(filter.taps);
    int sum = 0;
    for (int k = 0; k < filter.taps; ++k) {
      const double weight = std::ldexp(own[k], kWeightBits - filter.precision);
      own[k] = static_cast<int16_t>(std::lround(weight));
      sum += own[k];
    }
    int16_t& largest = *std::max_element(own, own + filter.taps);
    largest = static_cast<int16_t>(largest + (1 << kWeightBits) - sum);
  }
  filter.precision = kWeightBits;
}

}  // namespace

// ---- Pictures ----------------------------------------------------------------------------------

struct YuvScaler::Picture {
  explicit Picture(const AVFrame& frame) : planes(frame) {
    const auto* about = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
    const int depth = about->comp[0].depth;
    const bool full_range = is_full_range(frame);
    half_width = about->log2_chroma_w == 1;
    half_height = about->log2_chroma_h == 1;
    chroma_height = half_height ? frame.height / 2 : frame.height;
    wide_samples = depth > 8;
    const int parts = depth - 8;  // bits below those of 8-bit samples
    luma = {static_cast<int16_t>(full_range ? 0 : 16 << parts), kSampleShift - parts};
    chroma = {static_cast<int16_t>(128 << parts), kSampleShift - parts};
    matrix = make_matrix(frame, full_range);
  }

  template <typename Sample>
  const Sample* row(int plane, int y) const {
    return reinterpret_cast<const Sample*>(planes.data[plane] +
                                           ptrdiff_t{y} * planes.linesize[plane]);
  }

  const AVFrame& planes;
  bool half_width, half_height, wide_samples;
  int chroma_height;
  Level luma{}, chroma{};
  Matrix matrix{};
};

struct YuvScaler::Rows {
  YuvScaler& own;
  const Picture& picture;

  template <typename Sample>
  void read_chroma(int plane, int y, int count, int16_t* to) const {
    if (!picture.half_height) {
      load(picture.row<Sample>(plane, y), count, picture.chroma, to);
      return;
    }
    const int first = y / 2 - (y % 2 == 0 ? 2 : 1);
    std::array<const Sample*, 4> rows{};
    for (int k = 0; k < 4; ++k) {
      rows[static_cast<size_t>(k)] =
          picture.row<Sample>(plane, std::clamp(first + k, 0, picture.chroma_height - 1));
    }
    blend(rows, y % 2 == 0 ? kNear : kFar, count, picture.chroma, to);
  }

  template <typename Sample>
  void convert_row(int y) const {
    const int width = own.from_.width;
    load(picture.row<Sample>(0, y), width, picture.luma, own.yuv_[0].data());
    for (int plane = 1; plane <= 2; ++plane) {
      int16_t* full = own.yuv_[static_cast<size_t>(plane)].data();
      if (!picture.half_width) {
        read_chroma<Sample>(plane, y, width, full);
        continue;
      }
      int16_t* half = own.half_[static_cast<size_t>(plane - 1)].data() + kBeyond;
      read_chroma<Sample>(plane, y, width / 2, half);
      repeat_edges(half, width / 2);
      widen(half, width / 2, full);
    }
    int16_t* to = own.converted_row(y);
    to_rgb({own.yuv_[0].data(), own.yuv_[1].data(), own.yuv_[2].data()}, picture.matrix, width,
           {to, to + own.pitch_, to + 2 * ptrdiff_t{own.pitch_}});
  }

  void narrow(uint8_t* out) const {
    const int blocks = own.across_.taps / BicubicFilter::kTapsBlock;
    const int16_t* weights = own.across_.weights.data();
    for (const BicubicFilter::Window window : own.across_.windows) {
      const int16_t* values = own.mixed_.data() + window.first;
      for (int channel = 0; channel < 3; ++channel, values += own.pitch_) {
        *out++ = to_byte(dot(values, weights, blocks));
      }
      weights += own.across_.taps;
    }
  }

  void scale(uint8_t* out) const {
    int converted = 0;
    std::vector<const int16_t*> rows;
    for (int y = 0; y < own.to_.height; ++y, out += ptrdiff_t{own.to_.width} * 3) {
      const auto [first, count] = own.down_.windows[static_cast<size_t>(y)];
      rows.clear();
      for (int k = first; k < first + count; ++k) rows.push_back(own.converted_row(k));
      for (; converted < first + count; ++converted) {
        picture.wide_samples ? convert_row<uint16_t>(converted) : convert_row<uint8_t>(converted);
      }
      mix(rows, own.down_.weights_of(y), own.row_values(), own.mixed_.data());
      narrow(out);
    }
  }
};

bool YuvScaler::can_read(const AVFrame& picture) {
  const auto* about = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(picture.format));
  constexpr uint64_t kOthers = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL |
                               AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT |
                               AV_PIX_FMT_FLAG_BITSTREAM;
  if (about == nullptr || about->nb_components != 3 || (about->flags & kOthers) != 0) return false;
  const bool big_endian = (about->flags & AV_PIX_FMT_FLAG_BE) != 0;
  for (int i = 0; i < 3; ++i) {
    const AVComponentDescriptor& component = about->comp[i];
    const int bytes = component.depth > 8 ? 2 : 1;
    if (component.plane != i || component.step != bytes || component.shift != 0 ||
        component.depth < kMinDepth || component.depth > kMaxDepth ||
        (bytes == 2 && big_endian != (std::endian::native == std::endian::big))) {
      return false;
    }
  }
  return about->log2_chroma_w <= 1 && about->log2_chroma_h <= 1 &&
         picture.width % (1 << about->log2_chroma_w) == 0 &&
         picture.height % (1 << about->log2_chroma_h) == 0;
}

YuvScaler::YuvScaler(FrameSize from, FrameSize to)
    : from_(from),
      to_(to),
      across_(from.width, to.width),
      down_(from.height, to.height),
      pitch_(rounded_up(from.width + across_.taps, kBlock)),
      converted_(static_cast<size_t>(down_.taps) * static_cast<size_t>(row_values())),
      mixed_(static_cast<size_t>(row_values())) {
  round_weights(across_);
  round_weights(down_);
  const auto values = static_cast<size_t>(pitch_);
  for (auto& row : half_) row.resize(values + 2 * kBeyond);
  for (auto& row : yuv_) row.resize(values);
}

std::vector<uint8_t> YuvScaler::convert(const AVFrame& picture) {
  STREAMO_CHECK(can_read(picture) && picture.height == from_.height && picture.width == from_.width,
                "a picture of another kind");
  const Picture read(picture);
  std::vector<uint8_t> rgb(static_cast<size_t>(to_.height) * static_cast<size_t>(to_.width) * 3);
  Rows{*this, read}.scale(rgb.data());
  return rgb;
}

}  // namespace streamo::video
