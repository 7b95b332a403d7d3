#include "attention_kernels.h"

#include <immintrin.h>
#include <math.h>

namespace streamo::nn::attention {
namespace {

using bf16 = uint16_t;

// ---- bf16 as the upper half of a float ---------------------------------------------------------
// Rounds to nearest even; a NaN stays one. The result is in the upper half of each lane.
__m512i rounded_upper(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), rounded,
                                 _mm512_set1_epi32(0x7fc00000));
}

__m512 load(const float* from) {
  return _mm512_loadu_ps(from);
}
__m512 load(const bf16* from) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

void store(float* to, __m512 x) {
  _mm512_storeu_ps(to, x);
}
void store(bf16* to, __m512 x) {
  const __m512i upper = _mm512_srli_epi32(rounded_upper(x), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(upper));
}

// Two rows of a paired operand: [16][2].
void store_pair(bf16* to, __m512 even, __m512 odd) {
  const __m512i low = _mm512_srli_epi32(rounded_upper(even), 16);
  const __m512i high = _mm512_and_si512(rounded_upper(odd), _mm512_set1_epi32(~0xffff));
  _mm512_storeu_si512(to, _mm512_or_si512(low, high));
}

// e^x for x <= 0: Cody-Waite reduction, the polynomial of Cephes' expf (error below 2 units in the
// last place). Operands of max stand so that a NaN passes.
__m512 exp_of(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-104.0F), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 f = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
  f = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), f);
  __m512 p = _mm512_set1_ps(1.9875691500e-4F);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.3981999507e-3F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(8.3334519073e-3F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(4.1665795894e-2F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.6666665459e-1F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.0000001201e-1F));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(f, f), _mm512_add_ps(f, _mm512_set1_ps(1.0F)));
  return _mm512_scalef_ps(p, n);
}

// Lanes of columns [column, column + 16) that lie before `end`.
__mmask16 before(int64_t end, int64_t column) {
  const int64_t left = end - column;
  return left >= 16 ? 0xffff : left <= 0 ? 0 : static_cast<__mmask16>((1U << left) - 1);
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
  for (int64_t r = 0; r < kBlock; ++r) {
    bf16* row = to + r / 2 * 2 * d + r % 2;
    for (int64_t c = 0; c < d; ++c) row[2 * c] = r < rows ? from[r * stride + c] : bf16{0};
  }
}

template <typename T>
void pack_transposed(const T* from, int64_t stride, int64_t rows, int64_t d, T* to) {
  for (int64_t c = 0; c < d; ++c) {
    for (int64_t r = 0; r < rows; ++r) to[c * kBlock + r] = from[r * stride + c];
    zero_tail(to, c * kBlock + rows, (c + 1) * kBlock);
  }
}

template <>
void pack_transposed_paired(const float* from, int64_t stride, int64_t rows, int64_t d, float* to) {
  pack_transposed(from, stride, rows, d, to);
}
template <>
void pack_transposed_paired(const bf16* from, int64_t stride, int64_t rows, int64_t d, bf16* to) {
  for (int64_t c = 0; c < d; c += 2) {
    bf16* row = to + c * kBlock;
    for (int64_t r = 0; r < rows; ++r) {
      row[2 * r] = from[r * stride + c];
      row[2 * r + 1] = from[r * stride + c + 1];
    }
    zero_tail(row, 2 * rows, 2 * kBlock);
  }
}

template <typename T>
void softmax_block(const float* scores, float scale, int64_t diagonal, int64_t d,
                   const SoftmaxState& state, T* probabilities) {
  const __m512 factor = _mm512_set1_ps(scale), low = _mm512_set1_ps(-INFINITY);
  for (int64_t r = 0; r < kBlock; ++r) {
    const float* in = scores + r * kBlock;
    const int64_t end = clamp_to_block(diagonal + r + 1);
    __m512 largest = low;
    for (int64_t c = 0; c < end; c += 16) {
      largest = _mm512_mask_max_ps(largest, before(end, c), largest, load(in + c));
    }
    const float maximum = fmaxf(state.maximum[r], _mm512_reduce_max_ps(largest) * scale);
    const __m512 shift = _mm512_set1_ps(maximum);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < kBlock; c += 16) {
      const __m512 p = _mm512_maskz_mov_ps(
          before(end, c), exp_of(_mm512_sub_ps(_mm512_mul_ps(load(in + c), factor), shift)));
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
  const auto seen = static_cast<__mmask16>(~before(begin, c));
  const __m512 p = _mm512_maskz_mov_ps(seen, exp_of(exponent));
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

#define STREAMO_INSTANTIATE(T)                                                                   \
  template void pack_rows(const T*, int64_t, int64_t, int64_t, T*);                              \
  template void pack_transposed(const T*, int64_t, int64_t, int64_t, T*);                        \
  template void softmax_block(const float*, float, int64_t, int64_t, const SoftmaxState&, T*);   \
  template void finish_rows(const SoftmaxState&, int64_t, int64_t, T*, int64_t, float*);         \
  template void row_dots(const T*, int64_t, const T*, int64_t, int64_t, int64_t, float*);        \
  template void softmax_backward_block(const float*, const float*, float, int64_t, const float*, \
                                       const float*, T*, T*, T*);                                \
  template void store_transposed(const float*, float, int64_t, int64_t, T*, int64_t);            \
  template void store_sum(const float*, int64_t, int64_t, float, int64_t, int64_t, T*, int64_t);
STREAMO_INSTANTIATE(float)
STREAMO_INSTANTIATE(bf16)
#undef STREAMO_INSTANTIATE

}  // namespace streamo::nn::attention
