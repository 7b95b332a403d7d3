// Neighbouring sequences of equal length become one batched SDPA call; long causal ones on a CPU go
// to the blocked kernel.
#include "nn/attention.h"

#include <vector>

#include "nn/kernels/blocked_attention.h"
#include "nn/kernels/blocked_cache.h"
#include "streamo/core/error.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

struct Run {  // `count` neighbouring sequences of `length` tokens
  int64_t count, length;
};

std::vector<Run> equal_length_runs(std::span<const int64_t> cu_seqlens) {
  std::vector<Run> runs;
  for (size_t i = 1; i < cu_seqlens.size(); ++i) {
    const int64_t length = cu_seqlens[i] - cu_seqlens[i - 1];
    if (length == 0) continue;
    if (!runs.empty() && runs.back().length == length) {
      ++runs.back().count;
    } else {
      runs.push_back({1, length});
    }
  }
  return runs;
}

// [count * length, heads, D] -> [count, heads, length, D], a view.
Tensor as_batch(const Tensor& x, const Run& run) {
  return x.unflatten(0, {run.count, run.length}).transpose(1, 2);
}

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Run& run, bool causal) {
  const Tensor out =
      at::scaled_dot_product_attention(as_batch(q, run), as_batch(k, run), as_batch(v, run), {},
                                       0.0, causal, std::nullopt, q.size(1) != k.size(1));
  return out.transpose(1, 2).reshape({run.count * run.length, q.size(1) * q.size(2)});
}

}  // namespace

Tensor varlen_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                        std::span<const int64_t> cu_seqlens, bool causal) {
  STREAMO_CHECK(!cu_seqlens.empty() && cu_seqlens.front() == 0 && cu_seqlens.back() == q.size(0),
                "sequence borders must span the tokens");
  if (causal && blocked_attention_applies(q, k, v, cu_seqlens)) {
    return blocked_attention(q, k, v, {cu_seqlens.begin(), cu_seqlens.end()});
  }
  const std::vector<Run> runs = equal_length_runs(cu_seqlens);
  if (runs.size() == 1) return attend(q, k, v, runs[0], causal);
  // Split rather than slice: its gradient is one concatenation instead of a zero-filled tensor a
  // piece.
  std::vector<int64_t> sizes;
  for (const Run& run : runs) sizes.push_back(run.count * run.length);
  const auto qs = q.split_with_sizes(sizes), ks = k.split_with_sizes(sizes),
             vs = v.split_with_sizes(sizes);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < runs.size(); ++i)
    outputs.push_back(attend(qs[i], ks[i], vs[i], runs[i], causal));
  return at::cat(outputs);
}

Tensor cached_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const int64_t new_tokens = q.size(0), held = k.size(2) - new_tokens;
  if (new_tokens > 1 && blocked_cache_applies(q, k, v)) return blocked_cached_attention(q, k, v);
  if (new_tokens == 1) {  // the query heads that share a key/value head are its queries
    const Tensor queries = q.reshape({1, k.size(1), q.size(1) / k.size(1), q.size(2)});
    return at::scaled_dot_product_attention(queries, k, v).reshape({1, q.size(1) * q.size(2)});
  }
  std::optional<Tensor> mask;
  if (held > 0 && new_tokens > 1) {
    mask = at::ones({new_tokens, k.size(2)}, q.options().dtype(torch::kBool)).tril(held);
  }
  const Tensor out =
      at::scaled_dot_product_attention(q.transpose(0, 1).unsqueeze(0), k, v, mask, 0.0, held == 0,
                                       std::nullopt, q.size(1) != k.size(1));
  return out.squeeze(0).transpose(0, 1).reshape({new_tokens, q.size(1) * q.size(2)});
}

}  // namespace streamo::nn
