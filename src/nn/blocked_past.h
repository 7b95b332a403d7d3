// Attention of a live session's new tokens to what its cache holds, on the CPU, block by block.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <utility>

namespace streamo::nn {

// Whether attention to the past can and should be computed so: as blocked_attention_applies().
bool blocked_past_applies(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                          int64_t held);
// Of `held` keys the first so many are taken: whole blocks.
int64_t blocked_past_keys(int64_t held);

// q [K, R, D]: R queries of each key/value head. k, v [K, T, D]; all see the first `keys` of them,
// a number of blocked_past_keys(). Returns the result [K, R, D], and the logarithm of each
// normaliser [K, R], with which it can be joined to attention to other keys.
std::pair<torch::Tensor, torch::Tensor> blocked_past(const torch::Tensor& q, const torch::Tensor& k,
                                                     const torch::Tensor& v, int64_t keys);

}  // namespace streamo::nn
