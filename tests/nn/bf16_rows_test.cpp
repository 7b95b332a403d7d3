// The element-wise layers in bf16. Truth: the composed operators in bf16, with their roundings;
// gradients: the formula in fp64 on the same rounded inputs.
#include <gtest/gtest.h>

#include "nn/rms_norm.h"
#include "nn/rotary.h"
#include "nn/swiglu.h"

namespace streamo::nn {
namespace {

using torch::Tensor;

Tensor random16(std::vector<int64_t> sizes) {
  return torch::randn(sizes).to(torch::kBFloat16);
}

// Values agree to the last bit but where an exponential or a sum stood on the edge of a rounding.
void expect_same_but_few(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.scalar_type(), torch::kBFloat16);
  const double differing = actual.ne(expected).to(torch::kDouble).mean().item<double>();
  EXPECT_LT(differing, 2e-3);
  EXPECT_TRUE(torch::allclose(actual, expected, 1.0 / 128, 1e-6));
}

// Three roundings of 2^-9 on the way, of the largest gradient of each row; and small gradients are
// on average as right as large ones.
void expect_gradient(const Tensor& actual, const Tensor& expected) {
  const Tensor error = (actual.to(torch::kDouble) - expected).abs(), size = expected.abs();
  EXPECT_LT((error.amax(-1) / size.amax(-1)).max().item<double>(), 0.01);
  EXPECT_LT((error.mean() / size.mean()).item<double>(), 1.0 / 256);
  const Tensor small = size < size.median();
  EXPECT_LT((error.masked_select(small).mean() / size.mean()).item<double>(), 1.0 / 256);
}

Tensor leaf64(const Tensor& x) {
  return x.detach().to(torch::kDouble).requires_grad_();
}

TEST(Bf16Rows, RmsNorm) {
  torch::manual_seed(1);
  for (const int64_t size : {16, 320, 512}) {
    const Tensor wide = random16({200, 2 * size});
    const Tensor x = wide.slice(1, size).detach().requires_grad_();  // not contiguous
    const Tensor weight = random16({size}).requires_grad_(), grad = random16({200, size});
    const Tensor y = rms_norm(x, weight, 1e-6);
    const Tensor x32 = x.to(torch::kFloat);
    const Tensor inverse = torch::rsqrt(x32.pow(2).mean(-1, true) + 1e-6);
    expect_same_but_few(y.detach(), (weight * (x32 * inverse).to(torch::kBFloat16)).detach());
    const Tensor x64 = leaf64(x), w64 = leaf64(weight);
    const Tensor exact = w64 * x64 * torch::rsqrt(x64.pow(2).mean(-1, true) + 1e-6);
    y.backward(grad);
    exact.backward(grad.to(torch::kDouble));
    expect_gradient(x.grad(), x64.grad());
    expect_gradient(weight.grad(), w64.grad());
  }
}

TEST(Bf16Rows, Rotary) {
  torch::manual_seed(2);
  for (const auto type : {torch::kBFloat16, torch::kFloat}) {
    const Tensor angle = torch::rand({50, 32}) * 100;
    const RotaryTable table{angle.cos().to(type), angle.sin().to(type)};
    const Tensor qkv = random16({50, 3, 2, 64});
    const Tensor x = qkv.select(1, 1).detach().requires_grad_(), grad = random16({50, 2, 64});
    const Tensor cos = table.cos.unsqueeze(1), sin = table.sin.unsqueeze(1);
    const auto halves = x.to(type).chunk(2, -1);
    const Tensor expected =
        torch::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1)
            .to(torch::kBFloat16);
    const Tensor y = apply_rotary(x, table);
    EXPECT_TRUE(y.equal(expected));  // no sum, no exponential: to the bit
    y.backward(grad);
    const Tensor back = torch::autograd::grad({expected}, {x}, {grad})[0];
    expect_gradient(x.grad(), back.to(torch::kDouble));
  }
}

TEST(Bf16Rows, SiluMultiply) {
  torch::manual_seed(3);
  const Tensor gate = (4 * random16({70, 48})).requires_grad_(),
               up = random16({70, 48}).requires_grad_(), grad = random16({70, 48});
  const Tensor y = silu_multiply(gate, up);
  expect_same_but_few(y.detach(), (torch::silu(gate) * up).detach());
  const Tensor gate64 = leaf64(gate), up64 = leaf64(up);
  (torch::silu(gate64) * up64).backward(grad.to(torch::kDouble));
  y.backward(grad);
  expect_gradient(gate.grad(), gate64.grad());
  expect_gradient(up.grad(), up64.grad());
}

TEST(Bf16Rows, SiluMultiplyAtTheEnds) {
  const Tensor gate = torch::full({16}, -200.0).to(torch::kBFloat16), up = torch::ones_like(gate);
  EXPECT_TRUE(silu_multiply(gate, up).eq(0).all().item<bool>());
  EXPECT_TRUE(silu_multiply(-gate, up).equal(-gate));
  EXPECT_TRUE(silu_multiply(gate * NAN, up).isnan().all().item<bool>());
}

}  // namespace
}  // namespace streamo::nn
