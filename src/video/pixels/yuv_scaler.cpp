// Chroma upsampling, colour matrix and bicubic scaling fused into one pass over the picture, eight
// 16-bit lanes at a time, with a ring of rows that stays in cache.
#include "video/pixels/yuv_scaler.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <bit>
#include <cmath>

#include "streamo/core/error.h"
#include "video/pixels/rgb_converter.h"
#include "video/pixels/simd_int16x8.h"

namespace streamo::video {
namespace {

constexpr int kMinDepth = 8, kMaxDepth = 14;
// Numbers of 16 bits, in parts of a level of 8 bits:
constexpr int kSampleShift = 7;  // samples, whatever their depth: 1/128
constexpr int kMixedShift = 5;   // after a pass of the bicubic: 1/32
constexpr int kWeightBits = 14;
constexpr int kGroup = 8;  // rows worked on side by side

// ---- Chroma ------------------------------------------------------------------------------------

// The cubic of a = -0.5 at 7/4, 3/4, 1/4 and 5/4 of a sample, in 2^-15: for a pixel on the near
// side of the middle between two samples of chroma. On the far side, the other way round.
constexpr std::array<int16_t, 4> kNear{-768, 7424, 28416, -2304}, kFar{-2304, 28416, 7424, -768};
constexpr int kBeyond = 2;  // samples read beyond the edges

Int16x8 cubic(Int16x8 a, Int16x8 b, Int16x8 c, Int16x8 d, const std::array<int16_t, 4>& weights) {
  return (EightSums::of(a, weights[0], b, weights[1]) + EightSums::of(c, weights[2], d, weights[3]))
      .rounded(15);
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
    const Int16x8 b = Int16x8::load(from - 1), c = Int16x8::load(from), d = Int16x8::load(from + 1);
    store_in_turn(cubic(Int16x8::load(from - 2), b, c, d, kNear),
                  cubic(b, c, d, Int16x8::load(from + 2), kFar), to);
  }
}

// From samples to 1/128 of a level above `zero`.
struct Level {
  int16_t zero = 0;
  int shift = 0;

  // Of `left` samples from there on, at most eight: nothing behind them is read.
  template <typename Sample>
  Int16x8 read(const Sample* from, int left) const {
    std::array<Sample, 8> copy{};
    if (left < 8) {
      std::copy_n(from, left, copy.begin());
      from = copy.data();
    }
    return (Int16x8::load(from) - Int16x8::all(zero)).shifted_left(shift);
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

// In 2^-13, as FFmpeg has them.
struct Matrix {
  int16_t luma, red, green_u, green_v, blue;
};
constexpr int kMatrixBits = 13;

Matrix make_matrix(const AVFrame& picture, bool full_range) {
  const int* table = sws_getCoefficients(colour_matrix(picture));  // 16.16; of limited range
  const double chroma = full_range ? 224.0 / 255.0 : 1.0;
  const auto coefficient = [](double x) {
    return static_cast<int16_t>(std::lround(x * (1 << kMatrixBits)));
  };
  const auto of_table = [&](int i) { return coefficient(table[i] / 65536.0 * chroma); };
  return {coefficient(full_range ? 1.0 : 255.0 / 219.0), of_table(0),
          static_cast<int16_t>(-of_table(2)), static_cast<int16_t>(-of_table(3)), of_table(1)};
}

Int16x8 cut_off(Int16x8 levels) {
  return min(max(levels, Int16x8::all(0)), Int16x8::all(255));
}

// In 1/128: whole levels, as the exact way has them.
void to_rgb(const std::array<const int16_t*, 3>& yuv, const Matrix& matrix, int count,
            const std::array<int16_t*, 3>& rgb) {
  constexpr int kBits = kSampleShift + kMatrixBits;
  const Int16x8 none = Int16x8::all(0);
  for (int i = 0; i < count; i += 8) {
    const Int16x8 y = Int16x8::load(yuv[0] + i), u = Int16x8::load(yuv[1] + i),
                  v = Int16x8::load(yuv[2] + i);
    const EightSums red = EightSums::of(y, matrix.luma, v, matrix.red);
    const EightSums green = EightSums::of(y, matrix.luma, u, matrix.green_u) +
                            EightSums::of(v, matrix.green_v, none, 0);
    const EightSums blue = EightSums::of(y, matrix.luma, u, matrix.blue);
    cut_off(red.rounded(kBits)).shifted_left(kSampleShift).store(rgb[0] + i);
    cut_off(green.rounded(kBits)).shifted_left(kSampleShift).store(rgb[1] + i);
    cut_off(blue.rounded(kBits)).shifted_left(kSampleShift).store(rgb[2] + i);
  }
}

// ---- Scaling -----------------------------------------------------------------------------------

// Int16x8 rows of [3, pitch] -> [width, 3, 8]: the rows side by side.
void turn_up(const int16_t* rows, int pitch, int width, int16_t* columns) {
  for (int channel = 0; channel < 3; ++channel) {
    for (int x = 0; x < width; x += 8) {
      std::array<Int16x8, 8> block;
      for (int i = 0; i < 8; ++i) {
        block[static_cast<size_t>(i)] =
            Int16x8::load(rows + ptrdiff_t{3 * i + channel} * pitch + x);
      }
      transpose(block);
      for (int i = 0; i < 8; ++i) {
        block[static_cast<size_t>(i)].store(columns + ptrdiff_t{(x + i) * 3 + channel} * 8);
      }
    }
  }
}

// What sums of `count` upper products begin with: they are half of the last place too small each,
// in the mean; and half a level.
Int16x8 before_sum(int count) {
  return Int16x8::all(static_cast<int16_t>(count / 2 + (1 << (kMixedShift - 1))));
}

Int16x8 whole_levels(Int16x8 sum) {
  return cut_off(sum.shifted_right(kMixedShift));
}

// One pixel of the result of the pass along the rows, for eight rows; in 1/128.
std::array<Int16x8, 3> mix_columns(const int16_t* columns, const int16_t* weights, int count) {
  std::array<Int16x8, 3> sums{before_sum(count), before_sum(count), before_sum(count)};
  for (int k = 0; k < count; ++k, columns += 24) {
    const Int16x8 weight = Int16x8::all(weights[k]);
    sums[0] = sums[0] + upper_product(Int16x8::load(columns), weight);
    sums[1] = sums[1] + upper_product(Int16x8::load(columns + 8), weight);
    sums[2] = sums[2] + upper_product(Int16x8::load(columns + 16), weight);
  }
  for (Int16x8& sum : sums) sum = whole_levels(sum).shifted_left(kSampleShift);
  return sums;
}

constexpr int kBlock = 32;  // values summed side by side, in registers

// A row of the result, from those of its window: whole levels. `count` is a multiple of kBlock.
void mix_rows(const std::vector<const int16_t*>& rows, const int16_t* weights, int count,
              int16_t* to) {
  for (int x = 0; x < count; x += kBlock) {
    Int16x8 a = before_sum(static_cast<int>(rows.size())), b = a, c = a, d = a;
    for (size_t k = 0; k < rows.size(); ++k) {
      const int16_t* row = rows[k] + x;
      const Int16x8 weight = Int16x8::all(weights[k]);
      a = a + upper_product(Int16x8::load(row), weight);
      b = b + upper_product(Int16x8::load(row + 8), weight);
      c = c + upper_product(Int16x8::load(row + 16), weight);
      d = d + upper_product(Int16x8::load(row + 24), weight);
    }
    for (const Int16x8& sum : {a, b, c, d}) {
      whole_levels(sum).store(to);
      to += 8;
    }
  }
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
    int16_t* to = own.converted_.data() + ptrdiff_t{y % kGroup} * 3 * own.pitch_;
    to_rgb({own.yuv_[0].data(), own.yuv_[1].data(), own.yuv_[2].data()}, picture.matrix, width,
           {to, to + own.pitch_, to + 2 * ptrdiff_t{own.pitch_}});
  }

  // The pass along the rows, for the eight in `converted_`, the first of which is row y.
  void narrow_group(int y) const {
    turn_up(own.converted_.data(), own.pitch_, own.from_.width, own.columns_.data());
    for (int x = 0; x < own.to_.width; x += 8) {
      std::array<std::array<Int16x8, 8>, 3> block{};
      for (int i = 0; i < std::min(8, own.to_.width - x); ++i) {
        const auto [first, count] = own.across_.windows[static_cast<size_t>(x + i)];
        const std::array<Int16x8, 3> pixel = mix_columns(
            own.columns_.data() + ptrdiff_t{first} * 24, own.across_.pixel_weights(x + i), count);
        for (size_t channel = 0; channel < 3; ++channel) {
          block[channel][static_cast<size_t>(i)] = pixel[channel];
        }
      }
      for (size_t channel = 0; channel < 3; ++channel) {
        transpose(block[channel]);
        for (int i = 0; i < 8; ++i) {
          block[channel][static_cast<size_t>(i)].store(
              own.narrowed_row(y + i) + static_cast<ptrdiff_t>(channel) * own.narrow_pitch_ + x);
        }
      }
    }
  }

  void prepare_rows(int first) const {
    const int end = std::min(first + kGroup, own.from_.height);
    for (int y = first; y < end; ++y) {
      picture.wide_samples ? convert_row<uint16_t>(y) : convert_row<uint8_t>(y);
    }
    narrow_group(first);
  }

  void scale(uint8_t* out) const {
    int prepared = 0;
    std::vector<const int16_t*> rows;
    for (int y = 0; y < own.to_.height; ++y) {
      const auto [first, count] = own.down_.windows[static_cast<size_t>(y)];
      for (; prepared < first + count; prepared += kGroup) prepare_rows(prepared);
      rows.clear();
      for (int k = first; k < first + count; ++k) rows.push_back(own.narrowed_row(k));
      mix_rows(rows, own.down_.pixel_weights(y), 3 * own.narrow_pitch_, own.mixed_.data());
      const int16_t *red = own.mixed_.data(), *green = red + own.narrow_pitch_,
                    *blue = green + own.narrow_pitch_;
      for (int x = 0; x < own.to_.width; ++x) {
        *out++ = static_cast<uint8_t>(red[x]);
        *out++ = static_cast<uint8_t>(green[x]);
        *out++ = static_cast<uint8_t>(blue[x]);
      }
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
      pitch_(rounded_up(from.width, 16)),
      narrow_pitch_(rounded_up(to.width, kBlock)),
      narrowed_rows_(rounded_up(down_.taps, kGroup) + kGroup) {
  round_weights(across_);
  round_weights(down_);
  const auto values = static_cast<size_t>(pitch_);
  for (auto& row : half_) row.resize(values + 2 * size_t{kBeyond} + 8);
  for (auto& row : yuv_) row.resize(values);
  converted_.resize(values * 3 * kGroup);
  columns_.resize(values * 3 * kGroup);
  mixed_.resize(3 * static_cast<size_t>(narrow_pitch_));
  narrowed_.resize(mixed_.size() * static_cast<size_t>(narrowed_rows_));
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
