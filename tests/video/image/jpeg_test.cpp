// JPEG data: what is encoded comes back, and what is cut off or no JPEG is a Fault. That pixels are
// Pillow's is tests/video/picture_test.cpp's.
#include "video/image/jpeg.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/psnr.h"

namespace streamo::video {
namespace {

constexpr FrameSize kSize{37, 53};  // no multiple of a block

std::vector<uint8_t> smooth_picture() {
  std::vector<uint8_t> rgb;
  for (int y = 0; y < kSize.height; ++y) {
    for (int x = 0; x < kSize.width; ++x) {
      rgb.insert(rgb.end(), {static_cast<uint8_t>(4 * x), static_cast<uint8_t>(6 * y),
                             static_cast<uint8_t>(2 * x + 3 * y)});
    }
  }
  return rgb;
}

TEST(Jpeg, ComesBackAsItWasEncoded) {
  const std::vector<uint8_t> rgb = smooth_picture();
  const auto fine = encode_jpeg(rgb, kSize, 95), coarse = encode_jpeg(rgb, kSize, 20);
  ASSERT_TRUE(fine && coarse);
  EXPECT_GT(fine->size(), coarse->size());
  EXPECT_EQ(*jpeg_size(*fine), kSize);
  const auto back = decode_jpeg(*fine);
  ASSERT_TRUE(back) << back.reason();
  ASSERT_EQ(back->size(), rgb.size());
  EXPECT_GT(test::psnr(*back, rgb), 40);
}

TEST(Jpeg, WhatIsCutOffIsAFaultAtEachByte) {
  const auto whole = encode_jpeg(smooth_picture(), kSize, 80);
  ASSERT_TRUE(whole);
  for (size_t size = 0; size + 2 < whole->size(); size += 7) {
    const std::string cut = whole->substr(0, size);
    const auto decoded = decode_jpeg(cut);
    ASSERT_FALSE(decoded) << size;
    EXPECT_FALSE(decoded.reason().empty());
    (void)jpeg_size(cut);  // a size or a Fault
  }
  EXPECT_FALSE(jpeg_size("no picture"));
  EXPECT_FALSE(decode_jpeg(std::string(1000, '\0')));
}

TEST(Jpeg, ASideTooLongIsAFault) {
  const FrameSize wide{1, 65501};
  EXPECT_FALSE(encode_jpeg(std::vector<uint8_t>(size_t{3} * 65501), wide, 80));
}

}  // namespace
}  // namespace streamo::video
