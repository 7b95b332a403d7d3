// Truth: the formula composed of operators in fp64, gradients by autograd. fp32, CPU.
#include "nn/rms_norm.h"

#include <gtest/gtest.h>

#include "nn/thread_count_guard.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

Tensor composed(const Tensor& x, const Tensor& weight, double eps) {
  return weight * (x * torch::rsqrt(x.pow(2).mean(-1, true) + eps));
}

struct Case {
  int64_t rows, size;
};

class RmsNormTest : public testing::TestWithParam<Case> {};

TEST_P(RmsNormTest, ValueAndGradients) {
  torch::manual_seed(1);
  const double eps = 1e-2;  // large enough to matter
  const Tensor x = torch::randn({GetParam().rows, GetParam().size}) * 0.3;
  const Tensor weight = torch::randn({GetParam().size}), grad = torch::randn_like(x);
  const Tensor x1 = x.clone().requires_grad_(), w1 = weight.clone().requires_grad_();
  const Tensor x2 = x.to(torch::kDouble).requires_grad_(),
               w2 = weight.to(torch::kDouble).requires_grad_();
  const Tensor y1 = rms_norm(x1, w1, eps), y2 = composed(x2, w2, eps);
  y1.backward(grad);
  y2.backward(grad.to(torch::kDouble));
  EXPECT_TRUE(torch::allclose(y1, y2.to(torch::kFloat), 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(x1.grad(), x2.grad().to(torch::kFloat), 1e-5, 1e-5));
  EXPECT_TRUE(torch::allclose(w1.grad(), w2.grad().to(torch::kFloat), 1e-4, 1e-4));
}

INSTANTIATE_TEST_SUITE_P(Sizes, RmsNormTest,
                         testing::Values(Case{1, 5}, Case{3, 16}, Case{64, 24}, Case{200, 33}));

TEST(RmsNorm, ReadsRowsThatAreNotContiguous) {
  const Tensor wide = torch::randn({6, 8}), weight = torch::ones({6});
  EXPECT_TRUE(torch::allclose(rms_norm(wide.t(), weight, 1e-6), composed(wide.t(), weight, 1e-6)));
}

// bf16 rounds after the division and again after the weight; one rounding at the end differs.
TEST(RmsNorm, RoundsTwiceIn16Bit) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({64, 32}).to(torch::kBFloat16);
  const Tensor weight = torch::randn({32}).to(torch::kBFloat16);
  const Tensor wide = x.to(torch::kFloat);
  const Tensor quotient = wide * torch::rsqrt(wide.pow(2).mean(-1, true) + 1e-6);
  const Tensor twice = weight * quotient.to(torch::kBFloat16);
  const Tensor once = (weight.to(torch::kFloat) * quotient).to(torch::kBFloat16);
  EXPECT_FALSE(twice.equal(once));  // else this test could not fail
  EXPECT_TRUE(rms_norm(x, weight, 1e-6).equal(twice));
}

// The sum over rows must not depend on how many threads share them.
TEST(RmsNorm, GradientIsTheSameForAnyNumberOfThreads) {
  const nn::ThreadCountGuard keep;
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const Tensor x = torch::randn({1000, 48}).to(type), grad = torch::randn({1000, 48}).to(type);
    std::vector<Tensor> results;
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      const Tensor weight = torch::ones({48}, type).requires_grad_();
      rms_norm(x, weight, 1e-6).backward(grad);
      results.push_back(weight.grad());
    }
    EXPECT_TRUE(results[0].equal(results[1]) && results[0].equal(results[2])) << type;
  }
}

}  // namespace
}  // namespace streamo::nn
