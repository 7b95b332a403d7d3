// Truth: softmax(q k^T / sqrt(D) + mask) v written out in fp64 with one mask for the whole pack.
#include "nn/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace streamo::nn {
namespace {

using torch::Tensor;

// allowed [queries, keys]; q [M, N, D], k and v [T, K, D] -> [M, N * D].
Tensor by_definition(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& allowed) {
  const int64_t groups = q.size(1) / k.size(1);
  const auto wide = [&](const Tensor& x, int64_t repeat) {
    return x.to(torch::kDouble).repeat_interleave(repeat, 1).transpose(0, 1);  // [N, L, D]
  };
  const Tensor scores = wide(q, 1).matmul(wide(k, groups).transpose(1, 2)) /
                        std::sqrt(static_cast<double>(q.size(2)));
  const Tensor weights = scores.masked_fill(~allowed, -INFINITY).softmax(-1);
  return weights.matmul(wide(v, groups)).transpose(0, 1).flatten(1);
}

Tensor mask_of(const std::vector<int64_t>& cu_seqlens, bool causal) {
  const int64_t length = cu_seqlens.back();
  Tensor mask = torch::zeros({length, length}, torch::kBool);
  for (size_t i = 1; i < cu_seqlens.size(); ++i) {
    mask.slice(0, cu_seqlens[i - 1], cu_seqlens[i])
        .slice(1, cu_seqlens[i - 1], cu_seqlens[i])
        .fill_(true);
  }
  return causal ? mask.tril() : mask;
}

struct Case {
  std::vector<int64_t> cu_seqlens;
  bool causal;
  int64_t kv_heads;
};

class VarlenAttention : public testing::TestWithParam<Case> {};

TEST_P(VarlenAttention, ValueAndGradients) {
  torch::manual_seed(3);
  const auto& [cu_seqlens, causal, kv_heads] = GetParam();
  const int64_t length = cu_seqlens.back(), heads = 4, channels = 8;
  const auto leaf = [&](int64_t count) {
    return torch::randn({length, count, channels}).requires_grad_();
  };
  const Tensor q = leaf(heads), k = leaf(kv_heads), v = leaf(kv_heads);
  const Tensor grad = torch::randn({length, heads * channels});

  const Tensor expected = by_definition(q, k, v, mask_of(cu_seqlens, causal));
  const auto expected_grads =
      torch::autograd::grad({expected}, {q, k, v}, {grad.to(torch::kDouble)});
  const Tensor actual = varlen_attention(q, k, v, cu_seqlens, causal);
  const auto grads = torch::autograd::grad({actual}, {q, k, v}, {grad});

  EXPECT_TRUE(torch::allclose(actual, expected.to(torch::kFloat), 1e-5, 1e-5));
  for (size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(torch::allclose(grads[i], expected_grads[i], 1e-4, 1e-5)) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Packs, VarlenAttention,
    testing::Values(Case{{0, 9}, true, 2}, Case{{0, 9}, false, 4},
                    Case{{0, 4, 8, 12}, false, 4},         // one run of equal lengths
                    Case{{0, 4, 8, 9, 10, 15}, false, 4},  // runs of two, two and one
                    Case{{0, 5, 12, 19, 20}, true, 2},     // grouped queries, causal
                    Case{{0, 3, 3, 6, 6}, true, 1}));      // empty sequences vanish

// What a packed sample gets does not depend on its neighbours, to the bit.
TEST(VarlenAttention, PackedEqualsAlone) {
  const Tensor q = torch::randn({20, 4, 8}), k = torch::randn({20, 2, 8}),
               v = torch::randn({20, 2, 8});
  const Tensor packed = varlen_attention(q, k, v, std::vector<int64_t>{0, 7, 20}, true);
  const Tensor alone = varlen_attention(q.slice(0, 7), k.slice(0, 7), v.slice(0, 7),
                                        std::vector<int64_t>{0, 13}, true);
  EXPECT_TRUE(packed.slice(0, 7).equal(alone));
}

class CachedAttention : public testing::TestWithParam<int64_t> {};  // new tokens of 9

TEST_P(CachedAttention, EqualsTheLastRowsOfCausalAttention) {
  const int64_t length = 9, fresh = GetParam();
  const Tensor q = torch::randn({length, 4, 8}), k = torch::randn({length, 2, 8}),
               v = torch::randn({length, 2, 8});
  const Tensor all = by_definition(q, k, v, mask_of({0, length}, true));
  // A capacity beyond what is held, as a growing cache has.
  const auto held = [&](const Tensor& x) {
    const Tensor cache = torch::full({1, 2, 16, 8}, NAN);
    cache.slice(2, 0, length).copy_(x.transpose(0, 1).unsqueeze(0));
    return cache.slice(2, 0, length);
  };
  const Tensor last = cached_attention(q.slice(0, length - fresh), held(k), held(v));
  EXPECT_TRUE(torch::allclose(last, all.slice(0, length - fresh).to(torch::kFloat), 1e-5, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(NewTokens, CachedAttention, testing::Values(1, 2, 5, 9));

// Long enough for blocks of keys, with and without some left over: the last rows of one pass of
// LibTorch's kernel, in float64.
TEST(CachedAttentionBlocks, EqualOnePass) {
  for (const int64_t held : {128, 300, 1024}) {
    for (const int64_t fresh : {1, 2, 150, 300}) {
      const int64_t length = held + fresh;
      const Tensor q = torch::randn({length, 8, 64}), k = torch::randn({length, 2, 64}),
                   v = torch::randn({length, 2, 64});
      const auto heads_first = [](const Tensor& x) {
        return x.transpose(0, 1).unsqueeze(0).to(torch::kDouble);
      };
      const Tensor all =
          at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), {}, 0.0,
                                           true, std::nullopt, true)
              .squeeze(0)
              .transpose(0, 1)
              .reshape({length, 8 * 64})
              .to(torch::kFloat);
      const auto cache = [&](const Tensor& x) {
        const Tensor tensor = torch::full({1, 2, length + 7, 64}, NAN);
        tensor.slice(2, 0, length).copy_(x.transpose(0, 1).unsqueeze(0));
        return tensor.slice(2, 0, length);
      };
      const Tensor last = cached_attention(q.slice(0, held), cache(k), cache(v));
      EXPECT_LT((last - all.slice(0, held)).abs().max().item<float>(), 2e-6F)
          << held << " " << fresh;
      const auto half = [](const Tensor& x) { return x.to(torch::kBFloat16); };
      const Tensor rounded =
          cached_attention(half(q.slice(0, held)), half(cache(k)), half(cache(v)));
      EXPECT_LT((rounded.to(torch::kFloat) - all.slice(0, held)).abs().max().item<float>(), 2e-2F);
    }
  }
}

}  // namespace
}  // namespace streamo::nn
