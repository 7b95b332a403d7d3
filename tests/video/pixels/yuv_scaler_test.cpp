// Truth: the exact way (FFmpeg's careful RGB at full size, then resize_bicubic), which has other
// roundings.
#include "video/pixels/yuv_scaler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "support/psnr.h"
#include "video/pixels/bicubic_resize.h"
#include "video/pixels/rgb_converter.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace streamo::video {
namespace {

// Squares of any colour that the format allows, more than RGB can show, with noise on them.
FramePtr squares(AVPixelFormat format, FrameSize size, bool full_range) {
  constexpr int kSide = 12, kNoise = 9;  // pixels; levels of 8 bits
  FramePtr picture = make_frame();
  picture->format = format;
  picture->width = size.width;
  picture->height = size.height;
  picture->color_range = full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  if (av_frame_get_buffer(picture.get(), 0) < 0) throw std::bad_alloc();
  const AVPixFmtDescriptor& about = *av_pix_fmt_desc_get(format);
  const int depth = about.comp[0].depth;
  std::mt19937 random(1);
  const auto between = [&](int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(random);
  };
  for (int plane = 0; plane < 3; ++plane) {
    const int shift_x = plane == 0 ? 0 : about.log2_chroma_w;
    const int shift_y = plane == 0 ? 0 : about.log2_chroma_h;
    const int least = full_range ? 0 : 16, most = full_range ? 255 : plane == 0 ? 235 : 240;
    std::vector<int> colours(static_cast<size_t>(size.width / kSide + 1));
    for (int y = 0; y < size.height >> shift_y; ++y) {
      if ((y << shift_y) % kSide == 0) {
        for (int& colour : colours) colour = between(least + kNoise, most - kNoise);
      }
      uint8_t* row = picture->data[plane] + ptrdiff_t{y} * picture->linesize[plane];
      for (int x = 0; x < size.width >> shift_x; ++x) {
        const int level =
            colours[static_cast<size_t>((x << shift_x) / kSide)] + between(-kNoise, kNoise);
        const auto value = static_cast<uint16_t>(level << (depth - 8));
        std::memcpy(row + ptrdiff_t{x} * (depth > 8 ? 2 : 1), &value, depth > 8 ? 2 : 1);
      }
    }
  }
  return picture;
}

constexpr std::array<AVPixelFormat, 6> kFormats{AV_PIX_FMT_YUV420P,     AV_PIX_FMT_YUV422P,
                                                AV_PIX_FMT_YUV440P,     AV_PIX_FMT_YUV444P,
                                                AV_PIX_FMT_YUV420P10LE, AV_PIX_FMT_YUV444P12LE};

struct Case {
  FrameSize from, to;
};
constexpr std::array<Case, 6> kCases{{{{180, 320}, {84, 140}},
                                      {{360, 640}, {224, 420}},
                                      {{252, 364}, {224, 336}},  // hardly smaller
                                      {{64, 2000}, {28, 56}},    // many weights
                                      {{400, 2}, {28, 2}},
                                      {{2, 2}, {1, 1}}}};

TEST(YuvScaler, IsWithin50DecibelsOfTheExactWay) {
  for (const AVPixelFormat format : kFormats) {
    for (const Case& c : kCases) {
      for (const bool full_range : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {}x{} to {}x{}, full range {}", av_get_pix_fmt_name(format),
                                 c.from.width, c.from.height, c.to.width, c.to.height, full_range));
        const FramePtr picture = squares(format, c.from, full_range);
        ASSERT_TRUE(YuvScaler::can_read(*picture));
        const std::vector<uint8_t> exact =
            resize_bicubic(RgbConverter(Orientation{}).convert(*picture), c.from, c.to);
        EXPECT_GE(test::psnr(YuvScaler(c.from, c.to).convert(*picture), exact), 50);
      }
    }
  }
}

TEST(YuvScaler, KeepsBlackAndWhite) {
  for (const bool full_range : {false, true}) {
    for (const bool white : {false, true}) {
      const FrameSize from{90, 160}, to{56, 84};
      const FramePtr picture = squares(AV_PIX_FMT_YUV420P, from, full_range);
      const int luma = full_range ? (white ? 255 : 0) : (white ? 235 : 16);
      std::memset(picture->data[0], luma, static_cast<size_t>(picture->linesize[0]) * 90);
      for (int plane : {1, 2}) {
        std::memset(picture->data[plane], 128, static_cast<size_t>(picture->linesize[plane]) * 45);
      }
      const std::vector<uint8_t> rgb = YuvScaler(from, to).convert(*picture);
      EXPECT_EQ(rgb, std::vector<uint8_t>(rgb.size(), white ? 255 : 0));
    }
  }
}

TEST(YuvScaler, LeavesOtherPicturesToTheExactWay) {
  const auto can_read = [](AVPixelFormat format, FrameSize size) {
    const FramePtr picture = make_frame();
    picture->format = format;
    picture->width = size.width;
    picture->height = size.height;
    return YuvScaler::can_read(*picture);
  };
  EXPECT_TRUE(can_read(AV_PIX_FMT_YUVJ420P, {90, 160}));
  EXPECT_TRUE(can_read(AV_PIX_FMT_YUV444P, {91, 161}));
  EXPECT_FALSE(can_read(AV_PIX_FMT_YUV420P, {91, 160}));
  EXPECT_FALSE(can_read(AV_PIX_FMT_YUV420P, {90, 161}));
  for (const AVPixelFormat format :
       {AV_PIX_FMT_GRAY8, AV_PIX_FMT_RGB24, AV_PIX_FMT_GBRP, AV_PIX_FMT_PAL8, AV_PIX_FMT_NV12,
        AV_PIX_FMT_YUVA420P, AV_PIX_FMT_YUV410P, AV_PIX_FMT_YUV411P, AV_PIX_FMT_YUYV422,
        AV_PIX_FMT_YUV420P10BE, AV_PIX_FMT_YUV420P16LE, AV_PIX_FMT_P010LE, AV_PIX_FMT_NONE}) {
    EXPECT_FALSE(can_read(format, {90, 160})) << av_get_pix_fmt_name(format);
  }
}

}  // namespace
}  // namespace streamo::video
