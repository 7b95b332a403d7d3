// The truth of the lossless coding is the picture that went in, bit for bit.
#include "video/cache/frame_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace streamo::video {
namespace {

using Pixels = std::vector<uint8_t>;

Pixels noise(FrameSize size, unsigned seed) {
  std::mt19937 random(seed);
  Pixels rgb(static_cast<size_t>(size.height * size.width) * 3);
  for (uint8_t& value : rgb) value = static_cast<uint8_t>(random());
  return rgb;
}

// Smooth in space, with a little noise, as a camera's picture is.
Pixels scene(FrameSize size, unsigned seed) {
  Pixels rgb = noise(size, seed);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        uint8_t& value = rgb[static_cast<size_t>((y * size.width + x) * 3 + c)];
        const double wave = 120 + 60 * std::sin(0.03 * x + c) + 50 * std::cos(0.05 * y);
        value = static_cast<uint8_t>(wave + value % 4);
      }
    }
  }
  return rgb;
}

TEST(FrameCodec, GivesBackEveryBit) {
  for (const FrameSize size : {FrameSize{1, 1}, {1, 7}, {5, 1}, {3, 5}, {28, 56}, {224, 420}}) {
    const Pixels before = noise(size, 1);
    for (const Pixels& picture : {noise(size, 2), scene(size, 3), before, Pixels(before.size(), 0),
                                  Pixels(before.size(), 255)}) {
      for (const Pixels& previous : {Pixels(), before}) {
        const CodedFrame coded = code_lossless(picture, previous, size);
        const auto decoded = decode_frame(coded.coding, coded.bytes, previous, size);
        ASSERT_TRUE(decoded) << decoded.reason();
        EXPECT_EQ(*decoded, picture) << size.height << "x" << size.width;
      }
    }
  }
}

TEST(FrameCodec, TakesTheCodingThatGivesFewerBytes) {
  const FrameSize size{224, 420};
  const Pixels still = noise(size, 1);
  const CodedFrame repeated = code_lossless(still, still, size);
  EXPECT_EQ(repeated.coding, FrameCoding::kPrevious);
  EXPECT_LT(repeated.bytes.size(), 200u);
  const Pixels smooth = scene(size, 2);
  const CodedFrame cut = code_lossless(smooth, still, size);
  EXPECT_EQ(cut.coding, FrameCoding::kNeighbours);
  EXPECT_LT(cut.bytes.size(), smooth.size() / 2);
}

TEST(FrameCodec, JpegIsNearAndGetsNearerWithQuality) {
  const FrameSize size{224, 420};
  const Pixels picture = scene(size, 3);
  double last_error = 1e9;
  size_t last_bytes = 0;
  for (const int quality : {50, 80, 95}) {
    const auto coded = code_jpeg(picture, size, quality);
    ASSERT_TRUE(coded) << coded.reason();
    const auto decoded = decode_frame(FrameCoding::kJpeg, coded->bytes, {}, size);
    ASSERT_TRUE(decoded) << decoded.reason();
    double error = 0;
    for (size_t i = 0; i < picture.size(); ++i) error += std::pow(picture[i] - (*decoded)[i], 2);
    EXPECT_LT(error, last_error);
    EXPECT_GT(coded->bytes.size(), last_bytes);
    last_error = error;
    last_bytes = coded->bytes.size();
  }
  EXPECT_LT(last_error / static_cast<double>(picture.size()), 4);  // 42 dB
  EXPECT_FALSE(code_jpeg(Pixels(size_t{65501} * 3), {1, 65501}, 90));
}

TEST(FrameCodec, WhatIsNoPictureOfThisSizeIsAFault) {
  const FrameSize size{28, 56};
  const Pixels picture = scene(size, 3), before = noise(size, 1);
  const CodedFrame coded = code_lossless(picture, {}, size);
  const auto decode = [&](const std::string& bytes, FrameCoding coding, FrameSize as) {
    return decode_frame(coding, bytes, {}, as);
  };
  EXPECT_FALSE(decode(coded.bytes.substr(0, coded.bytes.size() / 2), coded.coding, size));
  EXPECT_FALSE(decode("", coded.coding, size));
  EXPECT_FALSE(decode(coded.bytes, coded.coding, {28, 28}));
  EXPECT_FALSE(decode(coded.bytes, coded.coding, {56, 56}));
  EXPECT_FALSE(decode(coded.bytes, FrameCoding::kPrevious, size)) << "there is none before it";
  EXPECT_FALSE(decode(coded.bytes, FrameCoding::kJpeg, size));
  EXPECT_FALSE(decode(coded.bytes, static_cast<FrameCoding>(9), size));
  const auto jpeg = code_jpeg(picture, size, 90);
  EXPECT_FALSE(decode(jpeg->bytes, FrameCoding::kJpeg, {56, 28}));
}

}  // namespace
}  // namespace streamo::video
