// Linear, SwiGLU and patch embedding. Truth: the same operation by LibTorch's own functions, fp32,
// CPU.
#include <gtest/gtest.h>

#include "nn/linear.h"
#include "nn/patch_embed.h"
#include "nn/swiglu.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

void fill(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (Tensor& parameter : module.parameters()) parameter.normal_(0, 0.3);
}

std::vector<std::string> names(const torch::nn::Module& module) {
  std::vector<std::string> found;
  for (const auto& item : module.named_parameters()) found.push_back(item.key());
  return found;
}

TEST(Linear, WithAndWithoutBias) {
  Linear with(3, 2, true), without(3, 2, false);
  fill(with);
  fill(without);
  const Tensor x = torch::randn({5, 3});
  EXPECT_TRUE(torch::allclose(with.forward(x), x.matmul(with.weight.t()) + with.bias));
  EXPECT_TRUE(torch::allclose(without.forward(x), x.matmul(without.weight.t())));
  EXPECT_EQ(names(without), std::vector<std::string>{"weight"});
}

TEST(SiluMultiply, ValueAndGradients) {
  const auto leaf = [] { return torch::randn({6, 5}).requires_grad_(); };
  const Tensor gate = leaf(), up = leaf(), grad = torch::randn({6, 5});
  const Tensor expected = torch::silu(gate) * up, actual = silu_multiply(gate, up);
  EXPECT_TRUE(torch::allclose(actual, expected));
  const auto want = torch::autograd::grad({expected}, {gate, up}, {grad});
  const auto got = torch::autograd::grad({actual}, {gate, up}, {grad});
  EXPECT_TRUE(torch::allclose(got[0], want[0]));
  EXPECT_TRUE(torch::allclose(got[1], want[1]));
}

TEST(SwigluMlp, NamesAndValue) {
  SwigluMlp mlp(4, 6, true);
  fill(mlp);
  const auto p = mlp.named_parameters();
  const Tensor x = torch::randn({3, 4});
  const Tensor gate = torch::linear(x, p["gate_proj.weight"], p["gate_proj.bias"]);
  const Tensor up = torch::linear(x, p["up_proj.weight"], p["up_proj.bias"]);
  const Tensor expected =
      torch::linear(torch::silu(gate) * up, p["down_proj.weight"], p["down_proj.bias"]);
  EXPECT_TRUE(torch::allclose(mlp.forward(x), expected));
}

// Of a size that drops the product of gate and up and makes it again. Truth: the composed operators
// in fp64; bf16 on the same rounded numbers.
TEST(SwigluMlp, LargeOnesHaveTheSameGradients) {
  torch::manual_seed(4);
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    for (const bool with_bias : {false, true}) {
      SwigluMlp mlp(256, 512, with_bias);
      fill(mlp);
      mlp.to(type);
      std::vector<Tensor> got{torch::randn({200, 256}).to(type).requires_grad_()}, exact;
      for (const Tensor& parameter : mlp.parameters()) got.push_back(parameter);
      for (const Tensor& x : got) exact.push_back(x.detach().to(torch::kDouble).requires_grad_());
      // weight, bias of gate, up and down in turn, or the weights alone
      const auto linear = [&](const Tensor& x, size_t i) {
        return with_bias ? torch::linear(x, exact[1 + 2 * i], exact[2 + 2 * i])
                         : torch::linear(x, exact[1 + i]);
      };
      const Tensor expected = linear(torch::silu(linear(exact[0], 0)) * linear(exact[0], 1), 2);
      const Tensor actual = mlp.forward(got[0]), grad = torch::randn({200, 256}).to(type);
      const auto want = torch::autograd::grad({expected}, exact, {grad.to(torch::kDouble)});
      const auto have = torch::autograd::grad({actual}, got, {grad});
      const double tolerance = type == torch::kFloat ? 1e-5 : 3e-2;
      for (size_t i = 0; i < want.size(); ++i) {
        const Tensor error = (have[i].to(torch::kDouble) - want[i]).abs().max();
        EXPECT_LT(error.item<double>(), tolerance * want[i].abs().max().item<double>()) << i;
      }
    }
  }
}

TEST(PatchEmbed, IsAConvolutionWithoutOverlap) {
  const PatchShape shape{3, 2, 4};
  PatchEmbed embed(shape, 5);
  fill(embed);
  EXPECT_EQ(names(embed), std::vector<std::string>{"proj.weight"});
  const Tensor weight = embed.named_parameters()["proj.weight"];
  const Tensor patches = torch::randn({7, shape.values()});
  const Tensor expected =
      torch::conv3d(patches.view({7, 3, 2, 4, 4}), weight, {}, {2, 4, 4}).flatten(1);
  EXPECT_TRUE(torch::allclose(embed.forward(patches), expected, 1e-5, 1e-5));
}

}  // namespace
}  // namespace streamo::nn
