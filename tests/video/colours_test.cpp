// Colours and scaling of video. Truths: the formulas of BT.601, BT.709 and BT.2020 for patches of
// known colours; for scaling, the exact way (FFmpeg's careful RGB at full size, then the
// processor's resize, which bicubic_resize_test and the oracle compare with torchvision and Pillow
// bit for bit).
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "streamo/video/sampler.h"
#include "support/numbered_clip.h"
#include "support/psnr.h"
#include "video/pixels/bicubic_resize.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;

class ColoursTest : public testing::Test {
 protected:
  ColoursTest() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-colours-{}", ::getpid());
    fs::create_directories(folder_);
  }
  ~ColoursTest() override { fs::remove_all(folder_); }

  std::vector<Frame> sample(const fs::path& path, const SampleOptions& options) {
    auto frames = sample_video(path, options);
    EXPECT_TRUE(frames) << frames.reason();
    return frames ? *std::move(frames) : std::vector<Frame>();
  }

  fs::path folder_;
};

// ---- Patches
// -------------------------------------------------------------------------------------

struct Matrix {
  const char* name;
  int tag;           // matrix_coefficients of H.264, table E-5; 2: unknown
  double red, blue;  // weights of the brightness
};

// One component of 8 bits, as ITU-R BT.601, 709 and 2020 define it for R'G'B' in 0..1.
struct Yuv {
  std::array<uint8_t, 3> values;
};

Yuv encode(const std::array<int, 3>& rgb, const Matrix& matrix, bool full) {
  const double r = rgb[0] / 255.0, g = rgb[1] / 255.0, b = rgb[2] / 255.0;
  const double y = matrix.red * r + (1 - matrix.red - matrix.blue) * g + matrix.blue * b;
  const double u = (b - y) / (2 * (1 - matrix.blue)), v = (r - y) / (2 * (1 - matrix.red));
  const auto byte = [](double x) { return static_cast<uint8_t>(std::lround(x)); };
  if (full) return {{byte(255 * y), byte(255 * u + 128), byte(255 * v + 128)}};
  return {{byte(219 * y + 16), byte(224 * u + 128), byte(224 * v + 128)}};
}

constexpr std::array<std::array<int, 3>, 8> kPatches{{{200, 30, 40},
                                                      {40, 190, 50},
                                                      {30, 60, 210},
                                                      {220, 210, 40},
                                                      {128, 128, 128},
                                                      {20, 20, 20},
                                                      {235, 235, 235},
                                                      {90, 160, 200}}};
constexpr int kPatchSide = 32;

// Int16x8 patches in a row, as one lossless picture.
fs::path patches(const fs::path& path, const Matrix& matrix, bool full, const std::string& format) {
  const int width = kPatchSide * static_cast<int>(kPatches.size());
  // Tagged behind the encoder: told of it before, newer ffmpegs convert.
  const std::string command = fmt::format(
      "ffmpeg -v error -y -f rawvideo -pix_fmt yuv444p -s {0}x{1} -r 1 -i - -vf "
      "scale=in_range={2}:out_range={2} -pix_fmt {3} -c:v libx264 -preset ultrafast -qp 0 "
      "-color_range {2} -bsf:v h264_metadata=matrix_coefficients={4} {5}",
      width, kPatchSide, full ? "pc" : "tv", format, matrix.tag, test::shell_quote(path.string()));
  FILE* pipe = ::popen(command.c_str(), "w");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
  for (size_t plane = 0; plane < 3; ++plane) {
    for (int y = 0; y < kPatchSide; ++y) {
      for (const auto& patch : kPatches) {
        const std::string run(kPatchSide,
                              static_cast<char>(encode(patch, matrix, full).values[plane]));
        std::fwrite(run.data(), 1, run.size(), pipe);
      }
    }
  }
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  return path;
}

constexpr Matrix kBt601{"BT.601", 6, 0.299, 0.114}, kUntagged{"unknown", 2, 0.299, 0.114};
constexpr Matrix kBt709{"BT.709", 1, 0.2126, 0.0722}, kBt2020{"BT.2020", 9, 0.2627, 0.0593};

TEST_F(ColoursTest, FollowTheTagsOfMatrixAndRange) {
  for (const Matrix& matrix : {kBt601, kUntagged, kBt709, kBt2020}) {
    for (const bool full : {false, true}) {
      for (const char* format : {"yuv444p", "yuv420p", "yuv420p10le", "yuv422p"}) {
        SCOPED_TRACE(fmt::format("{} {} {}", matrix.name, full ? "full" : "limited", format));
        const fs::path path = patches(folder_ / "patches.mp4", matrix, full, format);
        for (const ResizeMode mode : {ResizeMode::kFast, ResizeMode::kExact}) {
          const std::vector<Frame> frames = sample(path, {.resize = mode});
          ASSERT_EQ(frames.size(), 1u);
          for (size_t i = 0; i < kPatches.size(); ++i) {
            const size_t x = kPatchSide * i + kPatchSide / 2;
            const uint8_t* pixel =
                &frames[0].rgb[3 * ((kPatchSide / 2) * kPatchSide * kPatches.size() + x)];
            for (size_t c = 0; c < 3; ++c) {
              // 8 bits of limited range are steps of 1.2 to 2.1 of a colour
              EXPECT_NEAR(pixel[c], kPatches[i][c], 2) << "patch " << i << " channel " << c;
            }
          }
        }
      }
    }
  }
}

// A number that no standard has: MPEG-2's decoder passes it on. The asan preset sees a bad read.
TEST_F(ColoursTest, AnUnknownMatrixIsTakenForNone) {
  const std::string mpeg2 = "-c:v mpeg2video -q:v 4 -bsf:v mpeg2_metadata=matrix_coefficients=";
  const fs::path untagged =
      test::make_clip(folder_ / "untagged.ts", {.frames = 30, .encode = mpeg2 + "2"});
  const fs::path unknown =
      test::make_clip(folder_ / "unknown.ts", {.frames = 30, .encode = mpeg2 + "117"});
  for (const ResizeMode mode : {ResizeMode::kFast, ResizeMode::kExact}) {
    const std::vector<Frame> expected = sample(untagged, {.resize = mode});
    const std::vector<Frame> frames = sample(unknown, {.resize = mode});
    ASSERT_EQ(frames.size(), 2u);
    ASSERT_EQ(expected.size(), 2u);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(frames[i].rgb, expected[i].rgb);
  }
}

// ---- Scaling
// -------------------------------------------------------------------------------------

// Each single picture, also where it has colours that RGB has not: testsrc2 and what is made of it.
TEST_F(ColoursTest, FastWayIsWithin50DecibelsOfTheExactOne) {
  for (const char* source :
       {"mandelbrot=s=1280x720:r=1", "gradients=s=720x1280:r=1:seed=1:n=6",
        "testsrc2=s=1920x1080:r=1,hue=s=0.4,eq=contrast=0.7,gblur=sigma=1",
        "testsrc2=s=1280x720:r=1", "testsrc2=s=450x250:r=1", "testsrc2=s=96x64:r=1",
        "testsrc2=s=640x360:r=1,noise=alls=60:allf=t"}) {
    for (const char* format :
         {"yuv420p", "yuv420p -colorspace bt709", "yuv420p -colorspace bt2020nc", "yuvj420p",
          "yuv444p", "yuv422p10le", "gray"}) {
      SCOPED_TRACE(fmt::format("{} {}", source, format));
      const fs::path path = folder_ / "content.mp4";
      test::run_or_throw(fmt::format(
          "ffmpeg -v error -y -f lavfi -i {} -frames:v 1 -c:v libx264 -preset ultrafast -crf 20 "
          "-pix_fmt {} {}",
          test::shell_quote(source), format, test::shell_quote(path.string())));
      const auto fast = sample(path, {.pixel_limits = PixelLimits{}});
      const auto exact =
          sample(path, {.pixel_limits = PixelLimits{}, .resize = ResizeMode::kExact});
      ASSERT_EQ(fast.size(), 1u);
      ASSERT_EQ(exact.size(), 1u);
      EXPECT_GE(test::psnr(fast[0].rgb, exact[0].rgb), 50);
    }
  }
}

}  // namespace
}  // namespace streamo::video
