// Truth: softmax(q k^T / sqrt(D) + mask) v written out in fp64 with one mask for the whole pack. On
// a processor that the blocked kernel does not run on these cases test LibTorch's.
#include "nn/kernels/blocked_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/attention.h"
#include "nn/kernels/block_kernels.h"
#include "nn/thread_count_guard.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

Tensor by_definition(const Tensor& q, const Tensor& k, const Tensor& v,
                     const std::vector<int64_t>& cu_seqlens) {
  const int64_t groups = q.size(1) / k.size(1), length = q.size(0);
  Tensor allowed = torch::zeros({length, length}, torch::kBool);
  for (size_t i = 1; i < cu_seqlens.size(); ++i) {
    const int64_t begin = cu_seqlens[i - 1], end = cu_seqlens[i];
    allowed.slice(0, begin, end).slice(1, begin, end).fill_(true);
  }
  const auto wide = [&](const Tensor& x, int64_t repeat) {
    return x.to(torch::kDouble).repeat_interleave(repeat, 1).transpose(0, 1);  // [N, L, D]
  };
  const Tensor scores = wide(q, 1).matmul(wide(k, groups).transpose(1, 2)) /
                        std::sqrt(static_cast<double>(q.size(2)));
  const Tensor weights = scores.masked_fill(~allowed.tril(), -INFINITY).softmax(-1);
  return weights.matmul(wide(v, groups)).transpose(0, 1).flatten(1);
}

struct Case {
  std::vector<int64_t> cu_seqlens;
  int64_t heads, kv_heads, channels;
  torch::ScalarType dtype;
  double tolerance;  // relative to the largest number; in bf16 the results are rounded to 2^-8
};

class BlockedAttentionTest : public testing::TestWithParam<Case> {
 protected:
  Tensor leaf(int64_t heads) const {
    return torch::randn({GetParam().cu_seqlens.back(), heads, GetParam().channels})
        .to(GetParam().dtype)
        .requires_grad_();
  }
  void expect_near(const Tensor& actual, const Tensor& expected, const char* what) const {
    EXPECT_EQ(actual.scalar_type(), GetParam().dtype);
    const double error = (actual.to(torch::kDouble) - expected).abs().max().item<double>();
    // LibTorch's operator, which computes where our kernels do not run, rounds within the sums too.
    const bool ours = actual.scalar_type() == torch::kFloat || blocks::machine_has_bf16_products();
    const double tolerance = GetParam().tolerance * (ours ? 1 : 2);
    EXPECT_LT(error, tolerance * expected.abs().max().item<double>()) << what;
  }
};

TEST_P(BlockedAttentionTest, ValueAndGradients) {
  torch::manual_seed(3);
  const Case& c = GetParam();
  const Tensor q = leaf(c.heads), k = leaf(c.kv_heads), v = leaf(c.kv_heads);
  const Tensor grad = torch::randn({c.cu_seqlens.back(), c.heads * c.channels}).to(c.dtype);
  const Tensor expected = by_definition(q, k, v, c.cu_seqlens);
  const auto expected_grads =
      torch::autograd::grad({expected}, {q, k, v}, {grad.to(torch::kDouble)});
  const Tensor actual = varlen_attention(q, k, v, c.cu_seqlens, true);
  const auto grads = torch::autograd::grad({actual}, {q, k, v}, {grad});
  expect_near(actual.detach(), expected.detach(), "value");
  const char* names[] = {"q", "k", "v"};
  for (size_t i = 0; i < 3; ++i) {
    expect_near(grads[i], expected_grads[i].to(torch::kDouble), names[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Packs, BlockedAttentionTest,
    testing::Values(Case{{0, 256}, 2, 2, 64, torch::kFloat, 1e-5},  // whole blocks
                    Case{{0, 300}, 4, 2, 64, torch::kFloat, 1e-5},  // a partial one
                    Case{{0, 1, 131, 131, 520}, 4, 1, 80, torch::kFloat, 1e-5},
                    Case{{0, 256}, 2, 2, 64, torch::kBFloat16, 1e-2},
                    Case{{0, 300}, 4, 2, 64, torch::kBFloat16, 1e-2},
                    Case{{0, 1, 131, 131, 520}, 4, 1, 80, torch::kBFloat16, 1e-2}));

std::vector<Tensor> run(const Tensor& q, const Tensor& k, const Tensor& v,
                        const std::vector<int64_t>& cu_seqlens) {
  std::vector<Tensor> results;
  for (const Tensor& x : {q, k, v}) results.push_back(x.detach().requires_grad_());
  Tensor out = varlen_attention(results[0], results[1], results[2], cu_seqlens, true);
  const auto grads = torch::autograd::grad({out}, results, {torch::ones_like(out)});
  results = {out.detach()};
  results.insert(results.end(), grads.begin(), grads.end());
  return results;
}

TEST(BlockedAttention, SameBitsForAnyNumberOfThreadsAndStrides) {
  const nn::ThreadCountGuard keep;
  const Tensor joint = torch::randn({400, 8, 64});
  const Tensor q = joint.slice(1, 0, 4), k = joint.slice(1, 4, 6), v = joint.slice(1, 6, 8);
  at::set_num_threads(1);
  const auto expected = run(q.contiguous(), k.contiguous(), v.contiguous(), {0, 400});
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    const auto actual = run(q, k, v, {0, 400});
    for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(actual[i].equal(expected[i])) << count << " " << i;
  }
}

TEST(BlockedAttention, PackedEqualsAlone) {
  const Tensor q = torch::randn({700, 4, 64}), k = torch::randn({700, 2, 64}),
               v = torch::randn({700, 2, 64});
  const auto packed = run(q, k, v, {0, 300, 700});
  const auto alone = run(q.slice(0, 300), k.slice(0, 300), v.slice(0, 300), {0, 400});
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(packed[i].slice(0, 300).equal(alone[i])) << i;
}

// The guard against non-finite steps relies on it.
TEST(BlockedAttention, PassesNaNOn) {
  const Tensor q = torch::randn({256, 1, 64}), k = torch::randn({256, 1, 64}),
               v = torch::randn({256, 1, 64});
  k[10][0][3] = NAN;
  const Tensor out = varlen_attention(q, k, v, std::vector<int64_t>{0, 256}, true);
  EXPECT_TRUE(out.slice(0, 0, 10).isfinite().all().item<bool>());
  EXPECT_TRUE(out.slice(0, 10).isnan().any(1).all().item<bool>());
}

TEST(BlockedAttention, LeavesSmallHeadsAndShortSequencesToLibTorch) {
  const std::vector<int64_t> long_enough = {0, 300}, too_short = {0, 100, 200};
  const Tensor narrow = torch::randn({300, 2, 32}), wide = torch::randn({200, 2, 64});
  EXPECT_FALSE(blocked_attention_applies(narrow, narrow, narrow, long_enough));
  EXPECT_FALSE(blocked_attention_applies(wide, wide, wide, too_short));
}

}  // namespace
}  // namespace streamo::nn
