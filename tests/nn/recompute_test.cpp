// Truth: the same block called plainly; everything must be equal to the bit.
#include "streamo/nn/recompute.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>

#include "nn/linear.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

class RecomputeTest : public testing::Test {
 protected:
  RecomputeTest() {
    const torch::NoGradGuard no_grad;
    for (Tensor& parameter : linear_.parameters()) parameter.normal_(0, 0.5);
  }

  Tensor block(const Tensor& x) {
    ++calls_;
    return x + torch::silu(linear_.forward(x));
  }
  Tensor recomputed(const Tensor& x) {
    return recompute([this](const Tensor& input) { return block(input); }, x, linear_.parameters());
  }

  // Two blocks in a row with shared weights: gradients add up.
  std::vector<Tensor> gradients(bool with_recompute, bool x_needs_one) {
    linear_.zero_grad();
    Tensor x = input_.clone().set_requires_grad(x_needs_one);
    const Tensor y = with_recompute ? recomputed(recomputed(x)) : block(block(x));
    y.backward(grad_);
    return {y.detach(), x.grad(), linear_.weight.grad(), linear_.bias.grad()};
  }

  void expect_same(bool x_needs_one) {
    const auto plain = gradients(false, x_needs_one), again = gradients(true, x_needs_one);
    for (size_t i = 0; i < plain.size(); ++i) {
      ASSERT_EQ(plain[i].defined(), again[i].defined()) << i;
      if (plain[i].defined()) EXPECT_TRUE(plain[i].equal(again[i])) << i;
    }
  }

  Linear linear_{4, 4, true};
  Tensor input_ = torch::randn({6, 4}), grad_ = torch::randn({6, 4});
  int calls_ = 0;
};

TEST_F(RecomputeTest, BitEqual) {
  expect_same(true);
}

TEST_F(RecomputeTest, InputWithoutGradient) {
  expect_same(false);
}

TEST_F(RecomputeTest, FrozenParameterGetsNone) {
  linear_.weight.set_requires_grad(false);
  expect_same(true);
  EXPECT_FALSE(linear_.weight.grad().defined());
}

TEST_F(RecomputeTest, RunsAgainOnlyForTheBackwardPass) {
  const Tensor y = recomputed(input_.clone().requires_grad_());
  EXPECT_EQ(calls_, 1);
  y.sum().backward();
  EXPECT_EQ(calls_, 2);
}

TEST_F(RecomputeTest, WithoutGradientModeIsAPlainCall) {
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(recomputed(input_).requires_grad());
  EXPECT_EQ(calls_, 1);
}

// Data-parallel reduction hangs on the accumulation of each parameter: that must happen once, with
// the whole gradient.
TEST_F(RecomputeTest, AccumulatesEachParameterOnce) {
  int fired = 0;
  const auto accumulator = torch::autograd::impl::grad_accumulator(linear_.weight);
  accumulator->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
      [&](const torch::autograd::variable_list& outputs, const torch::autograd::variable_list&) {
        ++fired;
        return outputs;
      }));
  recomputed(input_).sum().backward();
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace streamo::nn
