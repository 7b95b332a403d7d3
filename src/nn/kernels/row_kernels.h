// Element-wise layers in bf16 on raw memory, each in one pass: the composed operators read and
// write every intermediate result. They round where those round, so results are the same but for
// the last bit of an exponential or a sum. Compiled for AVX-512 (avx512.h): no LibTorch here.
//
// bf16 as its bits. Rows are whole vectors of 16 numbers.
#pragma once

#include <cstdint>

namespace streamo::nn::rows {

constexpr int64_t kLanes = 16;

using Bits = uint16_t;

// y = round(weight * round(x * r)), r = 1 / sqrt(mean(x^2) + eps) of each row -> inverse.
void rms_norm(const Bits* x, const Bits* weight, float eps, int64_t count, int64_t size, Bits* y,
              float* inverse);
// grad_weight [size] += of these rows.
void rms_norm_backward(const Bits* grad, const Bits* x, const Bits* weight, const float* inverse,
                       int64_t count, int64_t size, Bits* grad_x, float* grad_weight);

// x [count][heads][2 half], whose strides are given, -> y, dense. Table [count][half] in bf16,
// where each product and the sum are rounded, or in fp32, where only the result is. `sign` -1 turns
// back.
struct Rows {
  const Bits* data;
  int64_t count, heads, half, row_stride, head_stride;
};
void rotate(const Rows& x, const Bits* cos, const Bits* sin, float sign, Bits* y);
void rotate(const Rows& x, const float* cos, const float* sin, float sign, Bits* y);

// round(round(silu(gate)) * up); its gradients. T: Bits, or float, where nothing is rounded.
template <typename T>
void silu_multiply(const T* gate, const T* up, int64_t count, T* y);
template <typename T>
void silu_multiply_backward(const T* grad, const T* gate, const T* up, int64_t count, T* grad_gate,
                            T* grad_up);

}  // namespace streamo::nn::rows
