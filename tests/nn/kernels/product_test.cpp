// Truth: the product in fp64. fp32, CPU; sizes above and below the one where oneDNN takes over.
#include "nn/kernels/product.h"

#include <gtest/gtest.h>

#include "nn/kernels/block_kernels.h"
#include "nn/linear.h"
#include "nn/thread_count_guard.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

double relative_error(const Tensor& actual, const Tensor& expected) {
  return ((actual.to(torch::kDouble) - expected).abs().max() / expected.abs().max()).item<double>();
}

class ProductTest : public testing::TestWithParam<int64_t> {};  // rows

TEST_P(ProductTest, EveryOrientation) {
  const int64_t rows = GetParam(), in = 512, out = 384;
  const Tensor x = torch::randn({rows, in}), w = torch::randn({out, in}),
               grad = torch::randn({rows, out}), bias = torch::randn({out});
  const Tensor x64 = x.to(torch::kDouble), w64 = w.to(torch::kDouble),
               grad64 = grad.to(torch::kDouble);
  EXPECT_EQ(is_large_product(x, w.numel()), rows >= 128);
  EXPECT_LT(relative_error(product(x, w, bias), x64.mm(w64.t()) + bias.to(torch::kDouble)), 1e-5);
  EXPECT_LT(relative_error(product(grad, w.t()), grad64.mm(w64)), 1e-5);
  EXPECT_LT(relative_error(product(grad.t(), x.t()), grad64.t().mm(x64)), 1e-5);
}

TEST_P(ProductTest, LinearAndItsGradients) {
  for (const bool with_bias : {false, true}) {
    Linear linear(512, 384, with_bias);
    {
      const torch::NoGradGuard no_grad;
      for (Tensor& parameter : linear.parameters()) parameter.normal_();
    }
    const Tensor x = torch::randn({GetParam(), 512}).requires_grad_(),
                 grad = torch::randn({GetParam(), 384});
    linear.forward(x).backward(grad);
    const Tensor grad64 = grad.to(torch::kDouble);
    EXPECT_LT(relative_error(x.grad(), grad64.mm(linear.weight.to(torch::kDouble))), 1e-5);
    EXPECT_LT(relative_error(linear.weight.grad(), grad64.t().mm(x.to(torch::kDouble))), 1e-5);
    if (with_bias) EXPECT_LT(relative_error(linear.bias.grad(), grad64.sum(0)), 1e-5);
  }
}

TEST_P(ProductTest, FrozenWeightsGetNoGradient) {
  Linear linear(512, 384, true);
  const torch::NoGradGuard no_grad;
  for (Tensor& parameter : linear.parameters()) parameter.normal_().set_requires_grad(false);
  const torch::AutoGradMode with_grad(true);
  const Tensor x = torch::randn({GetParam(), 512}).requires_grad_();
  linear.forward(x).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(linear.weight.grad().defined() || linear.bias.grad().defined());
  EXPECT_FALSE(linear.forward(x.detach()).requires_grad());
}

INSTANTIATE_TEST_SUITE_P(Rows, ProductTest, testing::Values(100, 300));

// oneDNN cuts a product by the number of threads; with AVX-512 that leaves each sum as it is.
TEST(Product, SameBitsForAnyNumberOfThreads) {
  const nn::ThreadCountGuard keep;
  const double tolerance = blocks::machine_has_avx512() ? 0 : 1e-6;  // of the largest number
  const Tensor x = torch::randn({600, 512}), w = torch::randn({384, 512});
  std::vector<Tensor> results, gradients;
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    results.push_back(product(x, w));
    gradients.push_back(product(results.front().t(), x.t()));
  }
  for (size_t i = 1; i < results.size(); ++i) {
    EXPECT_LE(relative_error(results[i], results[0].to(torch::kDouble)), tolerance);
    EXPECT_LE(relative_error(gradients[i], gradients[0].to(torch::kDouble)), tolerance);
  }
}

}  // namespace
}  // namespace streamo::nn
