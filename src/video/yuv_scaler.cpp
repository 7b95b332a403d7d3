#include "yuv_scaler.h"

extern "C" {
#include <libavutil/pixdesc.h>
}
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "rgb_converter.h"
#include "streamo/core/error.h"

namespace streamo::video {
namespace {

// Into scale() and scale_avx2(), each with its own instructions.
#define STREAMO_INLINE [[gnu::always_inline]] inline

constexpr int kMinDepth = 8, kMaxDepth = 14;
// Numbers of 16 bits, in parts of a level of 8 bits:
constexpr int kSampleShift = 7;  // samples, whatever their depth: 1/128
constexpr int kColourShift = 4;  // converted: 1/16, with room for what is cut off
constexpr int kMixedShift = 5;   // after the pass along the columns: 1/32
constexpr int kWeightBits = 14;

// a b / 2^16, cut off: the one product of 16 numbers at a time that every x86-64 has. It is half
// of the last place too small in the mean, which the sums below make up for.
STREAMO_INLINE int16_t product(int16_t a, int16_t b) {
  return static_cast<int16_t>((int32_t{a} * b) >> 16);
}

STREAMO_INLINE int16_t clamped(int16_t value, int16_t most) {
  const int16_t positive = value < 0 ? int16_t{0} : value;
  return positive > most ? most : positive;
}

// ---- Chroma ------------------------------------------------------------------------------------

// The cubic of a = -0.5 at 7/4, 3/4, 1/4 and 5/4 of a sample, in 2^-15: for a pixel on the near
// side of the middle between two samples of chroma. On the far side, the other way round.
constexpr std::array<int16_t, 4> kNear{-768, 7424, 28416, -2304}, kFar{-2304, 28416, 7424, -768};
constexpr int kBeyond = 2;  // samples read beyond the edges

STREAMO_INLINE int16_t cubic(int16_t a, int16_t b, int16_t c, int16_t d,
                             const std::array<int16_t, 4>& weights) {
  const int sum = product(a, weights[0]) + product(b, weights[1]) + product(c, weights[2]) +
                  product(d, weights[3]) + 2;
  return static_cast<int16_t>(sum * 2);
}

void repeat_edges(int16_t* row, int count) {
  for (int i = 1; i <= kBeyond; ++i) {
    row[-i] = row[0];
    row[count - 1 + i] = row[count - 1];
  }
}

// Compilers that see that two pointers are one value apart carry values from one round of the loop
// to the next, and then cannot do many at a time.
STREAMO_INLINE const int16_t* unrelated(const int16_t* pointer) {
  asm("" : "+r"(pointer));
  return pointer;
}

// [count] -> [2 count]
STREAMO_INLINE void widen(const int16_t* from, int count, int16_t* __restrict to) {
  const int16_t *a = unrelated(from - 2), *b = unrelated(from - 1), *c = unrelated(from),
                *d = unrelated(from + 1), *e = unrelated(from + 2);
  for (int i = 0; i < count; ++i) {
    to[2 * i] = cubic(a[i], b[i], c[i], d[i], kNear);
    to[2 * i + 1] = cubic(b[i], c[i], d[i], e[i], kFar);
  }
}

// From samples to 1/128 of a level above `zero`.
struct Level {
  int16_t zero, scale;
};

STREAMO_INLINE int16_t level_of(int sample, Level level) {
  return static_cast<int16_t>(static_cast<int16_t>(sample - level.zero) * level.scale);
}

template <typename Sample>
STREAMO_INLINE void load(const Sample* __restrict from, int count, Level level,
                         int16_t* __restrict to) {
  for (int i = 0; i < count; ++i) to[i] = level_of(from[i], level);
}

template <typename Sample>
STREAMO_INLINE void blend(const std::array<const Sample*, 4>& rows,
                          const std::array<int16_t, 4>& weights, int count, Level level,
                          int16_t* __restrict to) {
  const Sample *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  for (int i = 0; i < count; ++i) {
    to[i] = cubic(level_of(a[i], level), level_of(b[i], level), level_of(c[i], level),
                  level_of(d[i], level), weights);
  }
}

// ---- Colours -----------------------------------------------------------------------------------

// From 1/128 to 1/16 of a level with product(): in 2^-13.
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

// Whole levels, as the exact way has them, in 1/128.
STREAMO_INLINE int16_t whole_level(int value) {
  const auto shifted = static_cast<int16_t>(static_cast<int16_t>(value) >> kColourShift);
  return static_cast<int16_t>(clamped(shifted, 255) << kSampleShift);
}

constexpr int kHalf = 1 << (kColourShift - 1);

// Red from V, blue from U.
STREAMO_INLINE void mix_colour(const int16_t* luma, const int16_t* chroma, const Matrix& matrix,
                               int16_t weight, std::span<int16_t> to) {
  int16_t* __restrict out = to.data();
  const int16_t luma_weight = matrix.luma;
  for (size_t i = 0; i < to.size(); ++i) {
    out[i] = whole_level(product(luma[i], luma_weight) + product(chroma[i], weight) + kHalf + 1);
  }
}

STREAMO_INLINE void mix_green(const int16_t* luma, const int16_t* u, const int16_t* v,
                              const Matrix& matrix, std::span<int16_t> to) {
  int16_t* __restrict out = to.data();
  const Matrix m = matrix;
  for (size_t i = 0; i < to.size(); ++i) {
    out[i] = whole_level(product(luma[i], m.luma) - product(u[i], m.green_u) -
                         product(v[i], m.green_v) + kHalf);
  }
}

// ---- Scaling -----------------------------------------------------------------------------------

constexpr int kBlock = 64;  // values summed side by side, in registers

// `count` is a multiple of kBlock.
STREAMO_INLINE void mix(const std::vector<const int16_t*>& rows, const int16_t* weights, int count,
                        int16_t* __restrict to) {
  const auto cut_off = static_cast<int16_t>(rows.size() / 2);
  for (int x = 0; x < count; x += kBlock) {
    int16_t sums[kBlock];
    for (int16_t& sum : sums) sum = cut_off;
    for (size_t k = 0; k < rows.size(); ++k) {
      const int16_t* __restrict row = rows[k] + x;
      const int16_t weight = weights[k];
      for (int i = 0; i < kBlock; ++i) {
        sums[i] = static_cast<int16_t>(sums[i] + product(row[i], weight));
      }
    }
    for (int i = 0; i < kBlock; ++i) to[x + i] = clamped(sums[i], 255 << kMixedShift);
  }
}

STREAMO_INLINE uint8_t to_byte(int32_t sum) {
  constexpr int kShift = kWeightBits + kMixedShift;
  return static_cast<uint8_t>(std::clamp((sum + (1 << (kShift - 1))) >> kShift, 0, 255));
}

// Of `blocks` times eight values.
STREAMO_INLINE int32_t dot(const int16_t* a, const int16_t* b, int blocks) {
#if defined(__SSE2__)
  const auto load8 = [](const int16_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  __m128i sums = _mm_madd_epi16(load8(a), load8(b));
  for (int k = 1; k < blocks; ++k) {
    const int at = k * BicubicFilter::kTapsBlock;
    sums = _mm_add_epi32(sums, _mm_madd_epi16(load8(a + at), load8(b + at)));
  }
  sums = _mm_add_epi32(sums, _mm_unpackhi_epi64(sums, sums));
  return _mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_shuffle_epi32(sums, 1));
#else
  int32_t sum = 0;
  for (int k = 0; k < blocks * BicubicFilter::kTapsBlock; ++k) sum += a[k] * b[k];
  return sum;
#endif
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
    const auto scale = static_cast<int16_t>(1 << (kSampleShift - parts));
    luma = {static_cast<int16_t>(full_range ? 0 : 16 << parts), scale};
    chroma = {static_cast<int16_t>(128 << parts), scale};
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
  STREAMO_INLINE void read_chroma(int plane, int y, int count, int16_t* to) const {
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
  STREAMO_INLINE void convert_row(int y) const {
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
    const int16_t *luma = own.yuv_[0].data(), *u = own.yuv_[1].data(), *v = own.yuv_[2].data();
    const auto values = static_cast<size_t>(width);
    const Matrix& matrix = picture.matrix;
    mix_colour(luma, v, matrix, matrix.red, {to, values});
    mix_green(luma, u, v, matrix, {to + own.pitch_, values});
    mix_colour(luma, u, matrix, matrix.blue, {to + 2 * ptrdiff_t{own.pitch_}, values});
  }

  STREAMO_INLINE void narrow(uint8_t* out) const {
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

  STREAMO_INLINE void scale(uint8_t* out) const {
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

#if defined(__x86_64__)
  [[gnu::target("avx2")]] void scale_avx2(uint8_t* out) const {
    scale(out);
  }
#endif
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

bool YuvScaler::machine_has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

YuvScaler::YuvScaler(FrameSize from, FrameSize to, bool avx2)
    : from_(from),
      to_(to),
      avx2_(avx2),
      across_(from.width, to.width),
      down_(from.height, to.height),
      pitch_((from.width + across_.taps + kBlock - 1) / kBlock * kBlock),
      converted_(static_cast<size_t>(down_.taps) * static_cast<size_t>(row_values())),
      mixed_(static_cast<size_t>(row_values())) {
  round_weights(across_);
  round_weights(down_);
  for (auto& row : half_) row.resize(static_cast<size_t>(from.width) + 2 * kBeyond);
  for (auto& row : yuv_) row.resize(static_cast<size_t>(from.width));
}

std::vector<uint8_t> YuvScaler::convert(const AVFrame& picture) {
  STREAMO_CHECK(can_read(picture) && picture.height == from_.height && picture.width == from_.width,
                "a picture of another kind");
  const Picture read(picture);
  std::vector<uint8_t> rgb(static_cast<size_t>(to_.height) * static_cast<size_t>(to_.width) * 3);
#if defined(__x86_64__)
  if (avx2_) {
    Rows{*this, read}.scale_avx2(rgb.data());
    return rgb;
  }
#endif
  Rows{*this, read}.scale(rgb.data());
  return rgb;
}

}  // namespace streamo::video
