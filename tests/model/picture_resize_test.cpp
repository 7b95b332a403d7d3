// The exact resize against ATen's, which transformers resizes with. Truth: bit equality, uint8.
// (To a width of one pixel ATen's own code paths disagree; the model never sees such a picture.)
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <random>

#include "video/pixels/bicubic_resize.h"

namespace streamo::model {
namespace {

using torch::Tensor;
using video::FrameSize;

Tensor resized_by_aten(const Tensor& picture, FrameSize to) {
  const Tensor planes = picture.permute({2, 0, 1}).unsqueeze(0).contiguous();
  return at::_upsample_bicubic2d_aa(planes, {to.height, to.width}, /*align_corners=*/false)
      .squeeze(0)
      .permute({1, 2, 0})
      .contiguous();
}

Tensor resized_by_us(const Tensor& picture, FrameSize to) {
  const std::span rgb(picture.data_ptr<uint8_t>(), static_cast<size_t>(picture.numel()));
  const FrameSize from{static_cast<int>(picture.size(0)), static_cast<int>(picture.size(1))};
  std::vector<uint8_t> pixels = video::resize_bicubic(rgb, from, to);
  return torch::from_blob(pixels.data(), {to.height, to.width, 3}, torch::kUInt8).clone();
}

// Noise, black and white noise (the filter overshoots), slopes.
Tensor paint(int kind, FrameSize size, torch::Generator& generator) {
  const Tensor noise = torch::randint(0, 256, {size.height, size.width, 3}, generator,
                                      torch::TensorOptions(torch::kUInt8));
  if (kind == 0) return noise;
  if (kind == 1) return noise.gt(127).to(torch::kUInt8).mul_(255);
  const Tensor y = torch::arange(size.height).view({-1, 1, 1}).mul(5);
  const Tensor x = torch::arange(size.width).view({1, -1, 1}).mul(3);
  return (y + x + torch::arange(3).mul(85)).remainder(256).to(torch::kUInt8);
}

TEST(ExactResize, EqualsAtenBitForBit) {
  std::mt19937 random(11);
  auto generator = at::detail::createCPUGenerator(11);
  const auto side = [&](double most) {  // small ones as often as large ones
    return static_cast<int>(std::exp(std::uniform_real_distribution(0.0, std::log(most))(random)));
  };
  for (int i = 0; i < 400; ++i) {
    const FrameSize from{side(900), side(900)}, to{side(600), side(600) + 1};
    const Tensor picture = paint(i % 3, from, generator);
    ASSERT_TRUE(resized_by_us(picture, to).equal(resized_by_aten(picture, to)))
        << from.width << "x" << from.height << " to " << to.width << "x" << to.height;
  }
}

TEST(ExactResize, EqualsAtenAtExtremeRatios) {
  auto generator = at::detail::createCPUGenerator(12);
  for (const auto& [from, to] : {std::pair{FrameSize{1080, 1920}, FrameSize{224, 420}},
                                 {{3, 4001}, {28, 784}},
                                 {{5000, 1}, {812, 28}},
                                 {{1, 1}, {56, 56}},
                                 {{2, 3}, {1000, 1500}},
                                 {{999, 700}, {1, 2}},
                                 {{224, 420}, {224, 420}},
                                 {{224, 421}, {224, 420}},
                                 {{223, 420}, {224, 420}}}) {
    const Tensor picture = paint(1, from, generator);
    EXPECT_TRUE(resized_by_us(picture, to).equal(resized_by_aten(picture, to)))
        << from.width << "x" << from.height << " to " << to.width << "x" << to.height;
  }
}

}  // namespace
}  // namespace streamo::model
