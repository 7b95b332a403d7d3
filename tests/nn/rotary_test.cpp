// Truth: the definition (pairs turned by position * frequency as complex numbers), written out
// here.
#include "nn/rotary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

namespace streamo::nn {
namespace {

using torch::Tensor;

// Channels i and i + D/2 of x [L, N, D] as a complex number, turned by angle [L, D/2].
Tensor turned(const Tensor& x, const Tensor& angle) {
  Tensor y = x.clone();
  const int64_t half = x.size(2) / 2;
  for (int64_t l = 0; l < x.size(0); ++l) {
    for (int64_t n = 0; n < x.size(1); ++n) {
      for (int64_t i = 0; i < half; ++i) {
        const std::complex<double> pair(x[l][n][i].item<double>(),
                                        x[l][n][i + half].item<double>());
        const auto result = pair * std::polar(1.0, angle[l][i].item<double>());
        y[l][n][i] = result.real();
        y[l][n][i + half] = result.imag();
      }
    }
  }
  return y;
}

TEST(TextRotary, SectionsTakeTheirPositionInTurn) {
  const Tensor positions = torch::tensor({{0, 5, 9}, {1, 6, 2}, {2, 7, 30}});
  const std::vector<int64_t> sections = {1, 2, 1};
  const int64_t head_dim = 8;
  const int axis[] = {0, 1, 1, 2};
  Tensor angle = torch::zeros({3, 4}, torch::kDouble);
  for (int64_t l = 0; l < 3; ++l) {
    for (int64_t i = 0; i < 4; ++i) {
      angle[l][i] = positions[axis[i]][l].item<double>() *
                    std::pow(1000.0, -2.0 * static_cast<double>(i) / 8);
    }
  }
  const RotaryTable table = text_rotary_table(positions, head_dim, 1000.0, sections, torch::kFloat);
  const Tensor x = torch::randn({3, 2, head_dim});
  EXPECT_TRUE(torch::allclose(apply_rotary(x, table), turned(x, angle), 1e-5, 1e-5));
}

TEST(VisionRotary, FirstHalfTurnsWithTheRowSecondWithTheColumn) {
  const Tensor positions = torch::tensor({{0, 3, 9}, {1, 6, 2}});
  Tensor angle = torch::zeros({3, 4}, torch::kDouble);
  for (int64_t l = 0; l < 3; ++l) {
    for (int64_t i = 0; i < 4; ++i) {
      angle[l][i] = positions[i / 2][l].item<double>() *
                    std::pow(10000.0, -2.0 * static_cast<double>(i % 2) / 4);
    }
  }
  const RotaryTable table = vision_rotary_table(positions, 8);
  const Tensor x = torch::randn({3, 2, 8});
  EXPECT_TRUE(torch::allclose(apply_rotary(x, table), turned(x, angle), 1e-5, 1e-5));
}

RotaryTable random_table(torch::ScalarType dtype) {
  const Tensor positions = torch::randint(0, 500, {2, 7});
  const RotaryTable table = vision_rotary_table(positions, 8);
  return {table.cos.to(dtype), table.sin.to(dtype)};
}

// A rotation keeps lengths and angles: the gradient of <y, g> is g turned back.
TEST(ApplyRotary, GradientIsTheRotationBack) {
  const RotaryTable table = random_table(torch::kFloat);
  const Tensor x = torch::randn({7, 3, 8}).requires_grad_(), grad = torch::randn({7, 3, 8});
  apply_rotary(x, table).backward(grad);
  EXPECT_TRUE(torch::allclose(apply_rotary(x.grad(), table), grad, 1e-5, 1e-5));
}

TEST(ApplyRotary, ReadsSlicesOfAJointProjection) {
  const RotaryTable table = random_table(torch::kFloat);
  const Tensor qkv = torch::randn({7, 3, 2, 8});
  for (int64_t part = 0; part < 2; ++part) {
    const Tensor slice = qkv.select(1, part);
    EXPECT_TRUE(apply_rotary(slice, table).equal(apply_rotary(slice.contiguous(), table)));
  }
}

// The text rotation runs in the model's type; with an fp32 table (vision) in fp32, rounded once at
// the end.
TEST(ApplyRotary, TypeOfTheTableDecidesTheArithmetic) {
  const Tensor x = torch::randn({7, 2, 8}).to(torch::kBFloat16);
  const RotaryTable wide = random_table(torch::kFloat);
  const Tensor in_fp32 = apply_rotary(x, wide);
  EXPECT_EQ(in_fp32.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(in_fp32.equal(apply_rotary(x.to(torch::kFloat), wide).to(torch::kBFloat16)));
  const RotaryTable narrow{wide.cos.to(torch::kBFloat16), wide.sin.to(torch::kBFloat16)};
  EXPECT_FALSE(apply_rotary(x, narrow).equal(in_fp32));
}

}  // namespace
}  // namespace streamo::nn
