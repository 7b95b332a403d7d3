// H.264 files. Truth: the pictures that went in, and what the decoder (tested on files of other
// makers) and ffprobe say of the file.
#include "video/ffmpeg/encoder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <tuple>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"
#include "support/run_command.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr FrameSize kSize{48, 64};

class EncoderTest : public testing::Test {
 protected:
  EncoderTest() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-encoder-{}", ::getpid());
    fs::create_directories(folder_);
  }
  ~EncoderTest() override { fs::remove_all(folder_); }

  // Frame i is one plain colour.
  using Colour = std::array<uint8_t, 3>;
  static std::vector<uint8_t> plain(Colour colour) {
    std::vector<uint8_t> rgb;
    for (int i = 0; i < kSize.height * kSize.width; ++i) {
      rgb.insert(rgb.end(), colour.begin(), colour.end());
    }
    return rgb;
  }

  static EncoderOptions options(int num, int den, int b_frames) {
    EncoderOptions options;
    options.size = kSize;
    options.rate_num = num;
    options.rate_den = den;
    options.gop_size = 12;
    options.b_frames = b_frames;
    return options;
  }

  fs::path write_greys(const std::string& name, const EncoderOptions& options, int count) {
    Encoder encoder(folder_ / name, options);
    for (int i = 0; i < count; ++i) {
      const auto grey = static_cast<uint8_t>(40 + 2 * i);
      encoder.write(plain({grey, grey, grey}));
    }
    encoder.finish();
    return folder_ / name;
  }

  size_t files_in_folder() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }

  fs::path folder_;
};

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The frame of second k has number floor(k num / den), B-frames or not: its grey tells which one
// came.
TEST_F(EncoderTest, FramesHaveTheirExactTimes) {
  for (const auto& [num, den, b_frames] :
       {std::tuple{25, 1, 2}, {30000, 1001, 2}, {30000, 1001, 0}, {12, 1, 1}}) {
    SCOPED_TRACE(fmt::format("{}/{} b={}", num, den, b_frames));
    const fs::path path = write_greys("greys.mp4", options(num, den, b_frames), 100);
    const auto frames = sample_video(path, {});
    ASSERT_TRUE(frames) << frames.reason();
    EXPECT_EQ(frames->size(), std::max(99 * den / num + 1, 100 * den / num));
    for (const Frame& frame : *frames) {
      const int64_t expected = frame.index * num / den;
      EXPECT_NEAR(frame.rgb[0], 40 + 2 * expected, 1.0)
          << frame.index;  // uint8, through limited range
      EXPECT_NEAR(frame.pts_time, static_cast<double>(expected * den) / num, 1e-6);
    }
  }
}

// Strong colours come back within the rounding of 8-bit YUV and crf 23: so matrix and range agree.
TEST_F(EncoderTest, ColoursComeBack) {
  for (const Colour colour : {Colour{220, 30, 30}, {30, 175, 50}, {35, 70, 235}, {240, 220, 30}}) {
    Encoder encoder(folder_ / "colour.mp4", options(10, 1, 0));
    for (int i = 0; i < 5; ++i) encoder.write(plain(colour));
    encoder.finish();
    const auto frames = sample_video(folder_ / "colour.mp4", {});
    ASSERT_TRUE(frames) << frames.reason();
    for (size_t channel = 0; channel < 3; ++channel) {
      EXPECT_NEAR(frames->front().rgb[channel], colour[channel], 4);
    }
  }
}

TEST_F(EncoderTest, FileSaysWhatItIs) {
  const fs::path path = write_greys("tags.mp4", options(30000, 1001, 1), 30);
  const auto probe = test::run_command(
      "ffprobe -v error -select_streams v -show_entries "
      "stream=codec_name,pix_fmt,color_space,color_range,r_frame_rate,start_time -of "
      "default=nw=1 " +
      test::shell_quote(path.string()));
  for (const char* line : {"codec_name=h264", "pix_fmt=yuv420p", "color_space=smpte170m",
                           "color_range=tv", "r_frame_rate=30000/1001", "start_time=0.000000"}) {
    EXPECT_THAT(probe.out, HasSubstr(line));
  }
  const std::string bytes = bytes_of(path);
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat")) << "the index stands first";
}

TEST_F(EncoderTest, SamePicturesGiveTheSameBytes) {
  const auto first = bytes_of(write_greys("a.mp4", options(25, 1, 2), 30));
  EXPECT_EQ(first, bytes_of(write_greys("b.mp4", options(25, 1, 2), 30)));
}

TEST_F(EncoderTest, FileAppearsOnlyWhenFinished) {
  const fs::path path = folder_ / "new_folder" / "late.mp4";
  {
    Encoder encoder(path, options(25, 1, 0));
    encoder.write(plain({1, 2, 3}));
    EXPECT_FALSE(fs::exists(path));
    encoder.finish();
    EXPECT_TRUE(fs::exists(path));
  }
  {
    Encoder abandoned(folder_ / "never.mp4", options(25, 1, 0));
    abandoned.write(plain({1, 2, 3}));
    EXPECT_EQ(files_in_folder(), 2) << "the folder, and the unfinished file under another name";
  }
  EXPECT_EQ(files_in_folder(), 1) << "nothing of the abandoned file is left";
}

TEST_F(EncoderTest, PlaceThatCannotBeWrittenIsNamed) {
  std::ofstream(folder_ / "file") << "in the way";
  try {
    Encoder encoder(folder_ / "file" / "x.mp4", options(25, 1, 0));
    FAIL() << "a file is no folder";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kDisk);
    EXPECT_THAT(error.what(), HasSubstr("x.mp4"));
    EXPECT_THAT(error.what(), HasSubstr("Not a directory"));
  }
}

}  // namespace
}  // namespace streamo::video
