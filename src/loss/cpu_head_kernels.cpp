// AVX-512 softmax statistics and logit gradients of one block of the vocabulary.
#include "loss/cpu_head_kernels.h"

#include <math.h>

#include "nn/kernels/avx512.h"
#include "nn/kernels/block_kernels.h"

namespace streamo::loss {

using nn::bf16;
using nn::first_lanes;
using nn::load;
using nn::store;
using nn::vector_exp;
using nn::blocks::kBlock;

void logit_statistics(const float* logits, int64_t rows, int64_t columns, float* largest,
                      int64_t* position, float* sum) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = logits + r * kBlock;
    __m512 top = _mm512_set1_ps(-INFINITY);
    for (int64_t c = 0; c < columns; c += 16) {
      top = _mm512_mask_max_ps(top, first_lanes(columns - c), top, load(in + c));
    }
    largest[r] = _mm512_reduce_max_ps(top);
    const __m512 shift = _mm512_set1_ps(largest[r]);
    __m512 total = _mm512_setzero_ps();
    position[r] = -1;
    for (int64_t c = 0; c < columns; c += 16) {
      const __mmask16 exist = first_lanes(columns - c);
      const __m512 x = load(in + c);
      const __mmask16 hit = _mm512_mask_cmp_ps_mask(exist, x, shift, _CMP_EQ_OQ);
      if (position[r] < 0 && hit != 0) position[r] = c + __builtin_ctz(hit);
      total = _mm512_mask_add_ps(total, exist, total, vector_exp(_mm512_sub_ps(x, shift)));
    }
    if (position[r] < 0) position[r] = 0;  // nothing but NaN
    sum[r] = _mm512_reduce_add_ps(total);
  }
}

template <typename T>
void logit_gradient(const float* logits, const LogitRow* row, int64_t rows, int64_t first,
                    int64_t columns, T* gradient, T* transposed) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = logits + r * kBlock;
    T* out = gradient + r * kBlock;
    const __m512 shift = _mm512_set1_ps(row[r].log_sum), factor = _mm512_set1_ps(row[r].factor);
    const __m512 special = _mm512_set1_ps(row[r].at_target);
    const int64_t target = row[r].target - first;  // of this block or not
    for (int64_t c = 0; c < kBlock; c += 16) {
      __m512 g = _mm512_maskz_mul_ps(first_lanes(columns - c),
                                     vector_exp(_mm512_sub_ps(load(in + c), shift)), factor);
      if (target >= c && target < c + 16) {
        g = _mm512_mask_mov_ps(g, static_cast<__mmask16>(1U << (target - c)), special);
      }
      store(out + c, g);
    }
  }
  constexpr int64_t kTile = 16;  // of both: the cache holds its lines
  for (int64_t c = 0; c < kBlock; c += kTile) {
    for (int64_t r = 0; r < rows; r += kTile) {
      for (int64_t i = c; i < c + kTile; ++i) {
        for (int64_t j = r; j < r + kTile; ++j) {
          transposed[i * rows + j] = gradient[j * kBlock + i];
        }
      }
    }
  }
}

template void logit_gradient(const float*, const LogitRow*, int64_t, int64_t, int64_t, float*,
                             float*);
template void logit_gradient(const float*, const LogitRow*, int64_t, int64_t, int64_t, bf16*,
                             bf16*);

}  // namespace streamo::loss
