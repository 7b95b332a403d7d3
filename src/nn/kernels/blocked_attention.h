// Causal attention over packed sequences on the CPU, block by block (FlashAttention, Dao, arXiv
// 2307.08691), with LibTorch's small matrix products (oneDNN micro-kernels).
//
// LibTorch's own kernel multiplies through MKL, which is slow on processors other than Intel's and,
// in bf16, converts every operand to fp32.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <vector>

namespace streamo::nn {

// Whether blocked_attention can and should take these: AVX-512, fp32 or bf16 (then AVX-512 BF16
// too), heads of at least 64 channels in steps of 16, and a sequence long enough for whole blocks.
bool blocked_attention_applies(const torch::Tensor& q, const torch::Tensor& k,
                               const torch::Tensor& v, std::span<const int64_t> cu_seqlens);

// As varlen_attention with `causal`. Scores, softmax and sums in fp32, probabilities rounded to the
// type of q for their products, as LibTorch does. The same bits for any number of threads.
torch::Tensor blocked_attention(const torch::Tensor& q, const torch::Tensor& k,
                                const torch::Tensor& v, const std::vector<int64_t>& cu_seqlens);

}  // namespace streamo::nn
