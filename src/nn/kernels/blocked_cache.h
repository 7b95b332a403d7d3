// Attention of a live session's new tokens to its cache, on the CPU, block by block.
#pragma once

#include <torch/torch.h>

namespace streamo::nn {

// Whether cached_attention() (attention.h) can and should be computed so: the type and the machine
// as in blocked_attention_applies(), and keys enough for blocks.
bool blocked_cache_applies(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v);

// As cached_attention().
torch::Tensor blocked_cached_attention(const torch::Tensor& q, const torch::Tensor& k,
                                       const torch::Tensor& v);

}  // namespace streamo::nn
