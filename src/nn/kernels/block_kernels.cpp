// AVX-512 packing, transposing, online softmax and its gradient, on 32-bit and bf16 operands. bf16
// pairs of rows are interleaved, as the dot-product instruction takes them.
#include "nn/kernels/block_kernels.h"

#include <math.h>

#include "nn/kernels/avx512.h"

namespace streamo::nn::blocks {
namespace {

// Two rows of a paired operand: [16][2].
void store_pair(bf16* to, __m512 even, __m512 odd) {
  const __m512i low = _mm512_srli_epi32(rounded_upper(even), 16);
  const __m512i high = _mm512_and_si512(rounded_upper(odd), _mm512_set1_epi32(~0xffff));
  _mm512_storeu_si512(to, _mm512_or_si512(low, high));
}

int64_t clamp_to_block(int64_t x) {
  return x < 0 ? 0 : x > kBlock ? kBlock : x;
}

template <typename T>
void zero_tail(T* to, int64_t from, int64_t end) {
  for (int64_t i = from; i < end; ++i) to[i] = 0;
}

}  // namespace

bool machine_has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

bool machine_has_bf16_products() {
  return machine_has_avx512() && __builtin_cpu_supports("avx512bf16");
}

template <typename T>
void pack_rows(const T* from, int64_t stride, int64_t rows, int64_t d, T* to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < d; ++c) to[r * d + c] = from[r * stride + c];
  }
  zero_tail(to, rows * d, kBlock * d);
}

template <>
void pack_paired(const float* from, int64_t stride, int64_t rows, int64_t d, float* to) {
  pack_rows(from, stride, rows, d, to);
}
template <>
void pack_paired(const bf16* from, int64_t stride, int64_t rows, int64_t d, bf16* to) {
  const __m512 zero = _mm512_setzero_ps();
  for (int64_t r = 0; r < kBlock; r += 2) {
    const bf16* row = from + r * stride;
    for (int64_t c = 0; c < d; c += 16) {
      const __m512 even = r < rows ? load(row + c) : zero,
                   odd = r + 1 < rows ? load(row + stride + c) : zero;
      store_pair(to + r * d + 2 * c, even, odd);
    }
  }
}

namespace {

// 32 bits of each of 16 rows, `stride` numbers of T apart; rows beyond `rows` give 0.
template <typename T>
__m512i gather_rows(const T* from, int64_t stride, int64_t rows) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i index = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(stride)));
  return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), first_lanes(rows), index, from,
                                     sizeof(T));
}

// 16 rows of 16 words of 32 bits, transposed.
void transpose(__m512i* x) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {  // x[i + j], quarter l: column 4 l + j of rows i .. i + 3
    x[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i even_top = _mm512_shuffle_i32x4(x[j], x[4 + j], 0x88),
                  odd_top = _mm512_shuffle_i32x4(x[j], x[4 + j], 0xdd),
                  even_bottom = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0x88),
                  odd_bottom = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0xdd);
    t[j] = _mm512_shuffle_i32x4(even_top, even_bottom, 0x88);
    t[8 + j] = _mm512_shuffle_i32x4(even_top, even_bottom, 0xdd);
    t[4 + j] = _mm512_shuffle_i32x4(odd_top, odd_bottom, 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(odd_top, odd_bottom, 0xdd);
  }
  for (int i = 0; i < 16; ++i) x[i] = t[i];
}

// Transposes 32 bits at a time: one float, or two bf16 of a row, which is their paired layout.
template <typename T>
void transpose_words(const T* from, int64_t stride, int64_t rows, int64_t d, T* to) {
  constexpr int64_t kPer = sizeof(float) / sizeof(T);
  const int64_t words = d / kPer;
  for (int64_t w = 0; w < words; w += 16) {
    const __mmask16 columns = first_lanes(words - w);
    for (int64_t r = 0; r < kBlock; r += 16) {
      __m512i tile[16];
      for (int64_t i = 0; i < 16; ++i) {
        const __mmask16 lanes = r + i < rows ? columns : 0;
        tile[i] = _mm512_maskz_loadu_epi32(lanes, from + (r + i) * stride + w * kPer);
      }
      transpose(tile);
      for (int64_t i = 0; i < 16 && w + i < words; ++i) {
        _mm512_storeu_si512(to + kPer * ((w + i) * kBlock + r), tile[i]);
      }
    }
  }
}

}  // namespace

template <>
void pack_transposed(const float* from, int64_t stride, int64_t rows, int64_t d, float* to) {
  transpose_words(from, stride, rows, d, to);
}
template <>
void pack_transposed(const bf16* from, int64_t stride, int64_t rows, int64_t d, bf16* to) {
  for (int64_t c = 0; c < d; c += 2) {
    for (int64_t r = 0; r < kBlock; r += 16) {
      const __m512i words = gather_rows(from + r * stride + c, stride, rows - r);
      const __m256i low = _mm512_cvtepi32_epi16(words),
                    high = _mm512_cvtepi32_epi16(_mm512_srli_epi32(words, 16));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + c * kBlock + r), low);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (c + 1) * kBlock + r), high);
    }
  }
}

template <>
void pack_transposed_paired(const float* from, int64_t stride, int64_t rows, int64_t d, float* to) {
  transpose_words(from, stride, rows, d, to);
}
template <>
void pack_transposed_paired(const bf16* from, int64_t stride, int64_t rows, int64_t d, bf16* to) {
  transpose_words(from, stride, rows, d, to);
}

template <typename T>
void softmax_block(const float* scores, float scale, int64_t rows, int64_t diagonal, int64_t d,
                   const SoftmaxState& state, T* probabilities) {
  const __m512 factor = _mm512_set1_ps(scale), low = _mm512_set1_ps(-INFINITY);
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = scores + r * kBlock;
    const int64_t end = clamp_to_block(diagonal + r + 1);
    __m512 largest = low;
    for (int64_t c = 0; c < end; c += 16) {
      largest = _mm512_mask_max_ps(largest, first_lanes(end - c), largest, load(in + c));
    }
    const float maximum = fmaxf(state.maximum[r], _mm512_reduce_max_ps(largest) * scale);
    const __m512 shift = _mm512_set1_ps(maximum);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < kBlock; c += 16) {
      const __m512 p = _mm512_maskz_mov_ps(
          first_lanes(end - c),
          vector_exp(_mm512_sub_ps(_mm512_mul_ps(load(in + c), factor), shift)));
      sum = _mm512_add_ps(sum, p);
      store(probabilities + r * kBlock + c, p);
    }
    const float rescale = expf(state.maximum[r] - maximum);
    state.maximum[r] = maximum;
    state.sum[r] = state.sum[r] * rescale + _mm512_reduce_add_ps(sum);
    if (rescale == 1.0F) continue;
    float* out = state.out + r * d;
    for (int64_t c = 0; c < d; c += 16) {
      store(out + c, _mm512_mul_ps(load(out + c), _mm512_set1_ps(rescale)));
    }
  }
}

template <typename T>
void finish_rows(const SoftmaxState& state, int64_t rows, int64_t d, T* to, int64_t stride,
                 float* log_sum) {
  for (int64_t r = 0; r < rows; ++r) {
    const __m512 inverse = _mm512_set1_ps(1.0F / state.sum[r]);
    for (int64_t c = 0; c < d; c += 16) {
      store(to + r * stride + c, _mm512_mul_ps(load(state.out + r * d + c), inverse));
    }
    log_sum[r] = state.maximum[r] + logf(state.sum[r]);
  }
}

template <typename T>
void row_dots(const T* a, int64_t stride_a, const T* b, int64_t stride_b, int64_t rows, int64_t d,
              float* result) {
  for (int64_t r = 0; r < kBlock; ++r) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; r < rows && c < d; c += 16) {
      sum = _mm512_fmadd_ps(load(a + r * stride_a + c), load(b + r * stride_b + c), sum);
    }
    result[r] = _mm512_reduce_add_ps(sum);
  }
}

namespace {

// p and ds of key r, queries [c, c + 16).
struct Pair {
  __m512 p, ds;
};
Pair backward_lanes(const float* scores_t, const float* grad_t, float scale, int64_t begin,
                    const float* log_sum, const float* delta, int64_t c) {
  const __m512 exponent =
      _mm512_sub_ps(_mm512_mul_ps(load(scores_t + c), _mm512_set1_ps(scale)), load(log_sum + c));
  const auto seen = static_cast<__mmask16>(~first_lanes(begin - c));
  const __m512 p = _mm512_maskz_mov_ps(seen, vector_exp(exponent));
  return {p, _mm512_mul_ps(p, _mm512_sub_ps(load(grad_t + c), load(delta + c)))};
}

void store_ds(float* ds, float* /*the plain layout serves for both*/, int64_t c, __m512 even,
              __m512 odd) {
  store(ds + c, even);
  store(ds + kBlock + c, odd);
}
void store_ds(bf16* ds, bf16* paired, int64_t c, __m512 even, __m512 odd) {
  store(ds + c, even);
  store(ds + kBlock + c, odd);
  store_pair(paired + 2 * c, even, odd);
}

}  // namespace

template <typename T>
void softmax_backward_block(const float* scores_t, const float* grad_t, float scale,
                            int64_t diagonal, const float* log_sum, const float* delta, T* p, T* ds,
                            T* ds_paired) {
  for (int64_t r = 0; r < kBlock; r += 2) {
    const int64_t at = r * kBlock;
    for (int64_t c = 0; c < kBlock; c += 16) {
      const Pair even = backward_lanes(scores_t + at, grad_t + at, scale,
                                       clamp_to_block(diagonal + r), log_sum, delta, c);
      const Pair odd = backward_lanes(scores_t + at + kBlock, grad_t + at + kBlock, scale,
                                      clamp_to_block(diagonal + r + 1), log_sum, delta, c);
      store(p + at + c, even.p);
      store(p + at + kBlock + c, odd.p);
      store_ds(ds + at, ds_paired + at, c, even.ds, odd.ds);
    }
  }
}

template <typename T>
void store_transposed(const float* from, float factor, int64_t rows, int64_t d, T* to,
                      int64_t stride) {
  float row[16];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < d; c += 16) {
      for (int64_t i = 0; i < 16; ++i) row[i] = from[(c + i) * kBlock + r];
      store(to + r * stride + c, _mm512_mul_ps(load(row), _mm512_set1_ps(factor)));
    }
  }
}

template <typename T>
void store_sum(const float* from, int64_t count, int64_t step, float factor, int64_t rows,
               int64_t d, T* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < d; c += 16) {
      __m512 sum = load(from + r * d + c);
      for (int64_t i = 1; i < count; ++i) {
        sum = _mm512_add_ps(sum, load(from + i * step + r * d + c));
      }
      store(to + r * stride + c, _mm512_mul_ps(sum, _mm512_set1_ps(factor)));
    }
  }
}

#define STREAMO_INSTANTIATE(T)                                                                     \
  template void pack_rows(const T*, int64_t, int64_t, int64_t, T*);                                \
  template void softmax_block(const float*, float, int64_t, int64_t, int64_t, const SoftmaxState&, \
                              T*);                                                                 \
  template void finish_rows(const SoftmaxState&, int64_t, int64_t, T*, int64_t, float*);           \
  template void row_dots(const T*, int64_t, const T*, int64_t, int64_t, int64_t, float*);          \
  template void softmax_backward_block(const float*, const float*, float, int64_t, const float*,   \
                                       const float*, T*, T*, T*);                                  \
  template void store_transposed(const float*, float, int64_t, int64_t, T*, int64_t);              \
  template void store_sum(const float*, int64_t, int64_t, float, int64_t, int64_t, T*, int64_t);
STREAMO_INSTANTIATE(float)
STREAMO_INSTANTIATE(bf16)
#undef STREAMO_INSTANTIATE

}  // namespace streamo::nn::blocks
