// Products of blocks, one thread, by LibTorch's micro-kernels (oneDNN's batch-reduce products).
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/native/CPUBlas.h>

#include <cstdint>

#include "nn/kernels/block_kernels.h"

namespace streamo::nn::blocks {

// c [m, n] = a [m, k] b [k, n], or added to it, rows adjacent. bf16 as its bits; b is then "paired"
// (block_kernels.h).
inline void multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c,
                     bool add) {
  at::native::cpublas::brgemm(m, n, k, k, n, n, add, a, b, c, /*is_vnni=*/false);
}
inline void multiply(int64_t m, int64_t n, int64_t k, const uint16_t* a, const uint16_t* b,
                     float* c, bool add) {
  at::native::cpublas::brgemm(m, n, k, k, n, n, add, reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b), c, /*is_vnni=*/true);
}

// Whether this machine has them, and the kernels around them, for numbers of the tensor's kind.
inline bool has_products(const at::Tensor& tensor) {
  static const bool fp32 = machine_has_avx512(), bf16 = machine_has_bf16_products();
  const auto type = tensor.scalar_type();
  return tensor.is_cpu() && ((type == at::kFloat && fp32) || (type == at::kBFloat16 && bf16));
}

// A thread that has multiplied calls this when it is done: some processors hold a state for it.
inline void release_matmul_state() {
  at::native::cpublas::brgemm_release();
}

}  // namespace streamo::nn::blocks
