// AVX-512 RMSNorm, rotary embedding and SwiGLU, rounding to bf16 exactly where the composed
// operators do.
#include "nn/kernels/row_kernels.h"

#include <math.h>

#include "nn/kernels/avx512.h"

namespace streamo::nn::rows {
namespace {

__m512 rounded(__m512 x) {
  return rounded_to<bf16>(x);
}

__m512 sigmoid(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0F);
  return _mm512_div_ps(one, _mm512_add_ps(one, vector_exp(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

// LibTorch divides by 1 + e^-x rather than multiplying with the sigmoid.
__m512 silu(__m512 x) {
  const __m512 e = vector_exp(_mm512_sub_ps(_mm512_setzero_ps(), x));
  return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0F), e));
}

// [16] of the two halves turned. In a 16-bit table every operation rounds.
template <typename Table>
__m512 turned(__m512 kept, __m512 other, __m512 cos, __m512 sin) {
  return _mm512_add_ps(rounded_to<Table>(_mm512_mul_ps(kept, cos)),
                       rounded_to<Table>(_mm512_mul_ps(other, sin)));
}

template <typename Table>
void rotate_rows(const Rows& x, const Table* cos, const Table* sin, float sign, Bits* y) {
  const __m512 plus = _mm512_set1_ps(sign), minus = _mm512_set1_ps(-sign);
  for (int64_t row = 0; row < x.count; ++row) {
    for (int64_t head = 0; head < x.heads; ++head) {
      const Bits* in = x.data + row * x.row_stride + head * x.head_stride;
      Bits* out = y + (row * x.heads + head) * 2 * x.half;
      for (int64_t i = 0; i < x.half; i += kLanes) {
        const __m512 c = load(cos + row * x.half + i), s = load(sin + row * x.half + i);
        const __m512 a = load(in + i), b = load(in + i + x.half);
        store(out + i, turned<Table>(a, b, c, _mm512_mul_ps(s, minus)));
        store(out + i + x.half, turned<Table>(b, a, c, _mm512_mul_ps(s, plus)));
      }
    }
  }
}

}  // namespace

void rms_norm(const Bits* x, const Bits* weight, float eps, int64_t count, int64_t size, Bits* y,
              float* inverse) {
  for (int64_t row = 0; row < count; ++row) {
    const Bits* in = x + row * size;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < size; i += kLanes) {
      const __m512 value = load(in + i);
      sum = _mm512_add_ps(sum, _mm512_mul_ps(value, value));
    }
    const float mean = _mm512_reduce_add_ps(sum) / static_cast<float>(size);
    inverse[row] = 1.0F / sqrtf(mean + eps);
    const __m512 r = _mm512_set1_ps(inverse[row]);
    for (int64_t i = 0; i < size; i += kLanes) {
      store(y + row * size + i,
            _mm512_mul_ps(load(weight + i), rounded(_mm512_mul_ps(load(in + i), r))));
    }
  }
}

void rms_norm_backward(const Bits* grad, const Bits* x, const Bits* weight, const float* inverse,
                       int64_t count, int64_t size, Bits* grad_x, float* grad_weight) {
  for (int64_t row = 0; row < count; ++row) {
    const Bits *g = grad + row * size, *in = x + row * size;
    const __m512 r = _mm512_set1_ps(inverse[row]);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < size; i += kLanes) {
      const __m512 value = load(in + i), gradient = load(g + i);
      const __m512 u = rounded(_mm512_mul_ps(gradient, load(weight + i)));
      sum = _mm512_add_ps(sum, _mm512_mul_ps(u, value));
      const __m512 normed = rounded(_mm512_mul_ps(value, r));
      store(grad_weight + i, _mm512_add_ps(load(grad_weight + i), _mm512_mul_ps(gradient, normed)));
    }
    const __m512 shift = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / static_cast<float>(size) *
                                        inverse[row] * inverse[row]);
    for (int64_t i = 0; i < size; i += kLanes) {
      const __m512 u = rounded(_mm512_mul_ps(load(g + i), load(weight + i)));
      const __m512 along = _mm512_mul_ps(load(in + i), shift);
      store(grad_x + row * size + i, _mm512_mul_ps(r, _mm512_sub_ps(u, along)));
    }
  }
}

void rotate(const Rows& x, const Bits* cos, const Bits* sin, float sign, Bits* y) {
  rotate_rows(x, cos, sin, sign, y);
}
void rotate(const Rows& x, const float* cos, const float* sin, float sign, Bits* y) {
  rotate_rows(x, cos, sin, sign, y);
}

template <typename T>
void silu_multiply(const T* gate, const T* up, int64_t count, T* y) {
  for (int64_t i = 0; i < count; i += kLanes) {
    store(y + i, _mm512_mul_ps(rounded_to<T>(silu(load(gate + i))), load(up + i)));
  }
}

// d silu(x) / dx = s (1 + x (1 - s)) with s the sigmoid.
template <typename T>
void silu_multiply_backward(const T* grad, const T* gate, const T* up, int64_t count, T* grad_gate,
                            T* grad_up) {
  const __m512 one = _mm512_set1_ps(1.0F);
  for (int64_t i = 0; i < count; i += kLanes) {
    const __m512 g = load(grad + i), x = load(gate + i), s = sigmoid(x);
    const __m512 slope =
        _mm512_mul_ps(s, _mm512_add_ps(one, _mm512_mul_ps(x, _mm512_sub_ps(one, s))));
    store(grad_gate + i, _mm512_mul_ps(rounded_to<T>(_mm512_mul_ps(g, load(up + i))), slope));
    store(grad_up + i, _mm512_mul_ps(rounded_to<T>(silu(x)), g));
  }
}

template void silu_multiply(const float*, const float*, int64_t, float*);
template void silu_multiply(const Bits*, const Bits*, int64_t, Bits*);
template void silu_multiply_backward(const float*, const float*, const float*, int64_t, float*,
                                     float*);
template void silu_multiply_backward(const Bits*, const Bits*, const Bits*, int64_t, Bits*, Bits*);

}  // namespace streamo::nn::rows
