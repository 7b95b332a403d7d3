// Scaled dot-product attention over packed sequences of different lengths, without padding.
//
// L tokens of all sequences, N query heads, K key/value heads (N a multiple of K: grouped queries),
// D channels.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>

namespace streamo::nn {

// q [L, N, D], k and v [L, K, D] -> [L, N * D]. Sequence i is the tokens cu_seqlens[i] up to
// cu_seqlens[i + 1]; none attends beyond its own, and `causal` only to itself and what precedes.
// cu_seqlens lies on the host: it starts at 0, never falls, and ends at L. Neighbouring sequences
// of one length are computed in one call.
torch::Tensor varlen_attention(const torch::Tensor& q, const torch::Tensor& k,
                               const torch::Tensor& v, std::span<const int64_t> cu_seqlens,
                               bool causal);

// The M new tokens of one sequence attend to the T - M before them and causally to each other:
// q [M, N, D]; k, v [1, K, T, D] hold all T tokens -> [M, N * D].
torch::Tensor cached_attention(const torch::Tensor& q, const torch::Tensor& k,
                               const torch::Tensor& v);

}  // namespace streamo::nn
