// Which picture is taken for each second. Truth: the number burnt into each picture, against the
// definition worked out in integers, from the clip's making or from the times that ffprobe decodes.
#include "streamo/video/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "support/numbered_clip.h"
#include "support/psnr.h"
#include "video/pixels/bicubic_resize.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class SamplerTest : public testing::Test {
 protected:
  SamplerTest() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-sampler-{}", ::getpid());
    fs::create_directories(folder_);
  }
  ~SamplerTest() override { fs::remove_all(folder_); }

  fs::path clip(const std::string& name, const test::ClipRecipe& recipe) {
    return test::make_clip(folder_ / name, recipe);
  }

  fs::path folder_;
};

std::vector<int> numbers(const std::vector<Frame>& frames) {
  std::vector<int> numbers;
  for (const Frame& frame : frames) numbers.push_back(test::read_number(frame.size, frame.rgb));
  return numbers;
}

std::vector<int> sampled_numbers(const fs::path& path, const SampleOptions& options = {}) {
  const auto frames = sample_video(path, options);
  EXPECT_TRUE(frames) << frames.reason();
  return frames ? numbers(*frames) : std::vector<int>();
}

// The definition at 1 fps, applied to pictures numbered `first`, `first` + 1 ... at the times that
// ffprobe tells.
std::vector<int> expected_numbers(const test::ShownTimes& shown, int first) {
  std::vector<int> expected;
  size_t picture = 0;
  for (int64_t k = 0;; ++k) {
    const auto is_due = [&](size_t i) {
      return (shown.ticks[i] - shown.ticks[0]) * shown.tick_num <= k * shown.tick_den;
    };
    while (picture + 1 < shown.ticks.size() && is_due(picture + 1)) ++picture;
    expected.push_back(first + static_cast<int>(picture));
    const int64_t length = (shown.ticks.back() - shown.ticks[0]) * shown.tick_num;
    if (length < (k + 1) * shown.tick_den) return expected;
  }
}

std::string reason_of(const fs::path& path) {
  const auto info = probe(path, {});
  return info ? "no fault" : info.reason();
}

TEST_F(SamplerTest, TakesThePictureOnScreenAtConstantRates) {
  struct Case {
    const char* rate;
    int64_t num, den;
  };
  for (const Case& c : {Case{"25", 25, 1}, Case{"30", 30, 1}, Case{"30000/1001", 30000, 1001},
                        Case{"24000/1001", 24000, 1001}}) {
    for (const char* container : {"mp4", "mkv", "ts"}) {
      SCOPED_TRACE(fmt::format("{} {}", c.rate, container));
      const int frames = 130;
      const fs::path path =
          clip(fmt::format("constant.{}", container), {.frames = frames, .rate = c.rate});
      std::vector<int> expected;  // the last j with j / rate <= k, for all k until the last picture
      for (int64_t k = 0; k * c.num / c.den < frames; ++k) {
        expected.push_back(static_cast<int>(k * c.num / c.den));
        if ((k + 1) * c.num > int64_t{frames - 1} * c.den) break;
      }
      EXPECT_EQ(sampled_numbers(path), expected);
    }
  }
}

TEST_F(SamplerTest, TakesOtherRatesAndPhases) {
  const fs::path path = clip("rates.mp4", {.frames = 50});
  EXPECT_THAT(sampled_numbers(path, {.fps = 2.0}), ElementsAre(0, 12, 25, 37));
  EXPECT_THAT(sampled_numbers(path, {.fps = 0.5}), ElementsAre(0));
  EXPECT_THAT(sampled_numbers(path, {.phase = 0.5}), ElementsAre(12, 37));
  EXPECT_EQ(sampled_numbers(path, {.fps = 25.0}).size(), 50u);
}

TEST_F(SamplerTest, TellsTheTimesOfEachSample) {
  const auto frames = sample_video(clip("times.mp4", {.frames = 60, .rate = "24000/1001"}), {});
  ASSERT_TRUE(frames) << frames.reason();
  ASSERT_EQ(frames->size(), 3u);
  EXPECT_TRUE(frames->at(0).keyframe);
  EXPECT_FALSE(frames->at(1).keyframe);
  EXPECT_EQ(frames->at(1).index, 1);
  EXPECT_DOUBLE_EQ(frames->at(1).time, 1.0);
  EXPECT_NEAR(frames->at(1).pts_time, 23 * 1001.0 / 24000, 1e-9);
}

TEST_F(SamplerTest, HoldsThePictureThroughGapsOfAVariableRate) {
  const auto kept = [](int n) { return n < 30 || (n > 80 && n % 3 != 0) || n == 50; };
  for (const char* container : {"mp4", "mkv"}) {
    SCOPED_TRACE(container);
    const fs::path path = clip(
        fmt::format("variable.{}", container),
        {.frames = 150,
         .encode = "-vf \"select='lt(n,30)+gt(n,80)*mod(n,3)+eq(n,50)'\" -fps_mode passthrough "
                   "-c:v libx264 -preset ultrafast -bf 2"});
    std::vector<int> expected;
    for (int k = 0; k < 6; ++k) {
      int number = 25 * k;
      while (!kept(number)) --number;
      expected.push_back(number);
    }
    EXPECT_EQ(sampled_numbers(path), expected);
  }
}

TEST_F(SamplerTest, CountsFromTheFirstPictureWhereverTheClockStands) {
  // The transport stream's clock has 33 bits and wraps 3 s into the second clip.
  for (const char* offset : {"600", "95440.7"}) {
    SCOPED_TRACE(offset);
    const fs::path path =
        clip("start.ts", {.encode = fmt::format("-c:v libx264 -preset ultrafast -bf 2 "
                                                "-output_ts_offset {}",
                                                offset)});
    EXPECT_THAT(sampled_numbers(path), ElementsAre(0, 25, 50, 75));
  }
}

TEST_F(SamplerTest, HonoursEditLists) {
  const fs::path whole = clip("whole.mp4", {.frames = 150});
  const fs::path cut = test::remux(whole, folder_ / "cut.mp4", "-ss 1.3", "");
  const test::ShownTimes shown = test::shown_times(cut);
  const int first = 150 - static_cast<int>(shown.ticks.size());
  ASSERT_GT(first, 25);  // the copy begins at the keyframe 0, the edit list hides 32 pictures
  EXPECT_EQ(sampled_numbers(cut), expected_numbers(shown, first));
}

TEST_F(SamplerTest, BeginsAtTheFirstPictureThatCanBeShownWhenCutInsideAGroup) {
  const fs::path whole = clip("whole.ts", {.frames = 150});
  std::ifstream file(whole, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const size_t middle = bytes.size() / 188 / 5 * 188;
  const fs::path cut = folder_ / "cut.ts";
  std::ofstream(cut, std::ios::binary) << bytes.substr(middle);
  const test::ShownTimes shown = test::shown_times(cut);
  ASSERT_LT(shown.ticks.size(), 125u);
  EXPECT_EQ(sampled_numbers(cut),
            expected_numbers(shown, 150 - static_cast<int>(shown.ticks.size())));
}

TEST_F(SamplerTest, CountsPicturesWhereTheFileHasNoTimes) {
  const std::string x264 = "-c:v libx264 -preset ultrafast -bf 2 -g 50";
  EXPECT_THAT(sampled_numbers(clip("raw.h264", {.encode = x264})), ElementsAre(0, 25, 50, 75));
  EXPECT_THAT(sampled_numbers(clip("x264.avi", {.encode = x264})), ElementsAre(0, 25, 50, 75));
  EXPECT_THAT(sampled_numbers(clip("mpeg4.avi", {.encode = "-c:v mpeg4 -bf 2 -q:v 2"})),
              ElementsAre(0, 25, 50, 75));
}

TEST_F(SamplerTest, ReadsOtherCodecs) {
  EXPECT_THAT(sampled_numbers(clip("mpeg2.ts", {.encode = "-c:v mpeg2video -bf 2 -q:v 2"})),
              ElementsAre(0, 25, 50, 75));
  EXPECT_THAT(sampled_numbers(clip("a.webm", {.encode = "-c:v libvpx-vp9 -deadline realtime "
                                                        "-cpu-used 8"})),
              ElementsAre(0, 25, 50, 75));
}

TEST_F(SamplerTest, TurnsPicturesAsTheFileAsks) {
  // Pictures turned before encoding, and tagged to be turned back.
  struct Case {
    const char* filter;
    int a, b, c, d;  // the display matrix
  };
  for (const Case& way :
       {Case{"transpose=cclock", 0, 1, -1, 0}, Case{"transpose=clock", 0, -1, 1, 0},
        Case{"hflip,vflip", -1, 0, 0, -1}}) {
    SCOPED_TRACE(way.filter);
    const fs::path turned = test::turn(
        clip("turned.mp4",
             {.frames = 50,
              .size = {192, 256},
              .encode = fmt::format("-vf {} -c:v libx264 -preset ultrafast", way.filter)}),
        way.a, way.b, way.c, way.d);
    const auto frames = sample_video(turned, {.pixel_limits = PixelLimits{}});
    ASSERT_TRUE(frames) << frames.reason();
    EXPECT_THAT(numbers(*frames), ElementsAre(0, 25));
    EXPECT_EQ(frames->front().size, (FrameSize{196, 252}));
  }
}

// Truth: the definition of the exact way, from the frames at full size; the fast one is near to it.
TEST_F(SamplerTest, ResizesExactlyWhenAsked) {
  const fs::path plain = clip("plain.mp4", {.frames = 30, .size = {300, 460}});
  const fs::path turned =
      test::turn(test::remux(plain, folder_ / "turned.mp4", "", ""), 0, -1, 1, 0);
  for (const fs::path& path : {plain, turned}) {
    SCOPED_TRACE(path);
    const auto whole = sample_video(path, {});
    const auto exact =
        sample_video(path, {.pixel_limits = PixelLimits{}, .resize = ResizeMode::kExact});
    ASSERT_TRUE(whole && exact);
    ASSERT_EQ(exact->size(), whole->size());
    for (size_t k = 0; k < exact->size(); ++k) {
      const Frame& frame = exact->at(k);
      EXPECT_EQ(frame.size, smart_resize(whole->at(k).size, PixelLimits{}));
      EXPECT_EQ(frame.rgb, resize_bicubic(whole->at(k).rgb, whole->at(k).size, frame.size));
    }
    const auto fast = sample_video(path, {.pixel_limits = PixelLimits{}});
    ASSERT_TRUE(fast) << fast.reason();
    EXPECT_GE(test::psnr(exact->at(0).rgb, fast->at(0).rgb), 50);
  }
}

TEST_F(SamplerTest, ReadsOnePictureAndOddSizes) {
  const std::string lossless = "-pix_fmt yuv444p -c:v libx264 -preset ultrafast -qp 0";
  EXPECT_THAT(sampled_numbers(clip("one.mp4", {.frames = 1})), ElementsAre(0));
  const fs::path odd = clip("odd.mp4", {.frames = 30, .size = {75, 97}, .encode = lossless});
  const auto frames = sample_video(odd, {});
  ASSERT_TRUE(frames) << frames.reason();
  EXPECT_THAT(numbers(*frames), ElementsAre(0, 25));
  EXPECT_EQ(frames->front().size, (FrameSize{75, 97}));
}

TEST_F(SamplerTest, BringsASizeChangeToTheFirstPicturesSize) {
  const fs::path large = clip("large.ts", {.frames = 50});
  const fs::path small = clip("small.ts", {.frames = 50,
                                           .size = {64, 80},
                                           .encode = "-c:v libx264 -preset ultrafast "
                                                     "-bf 2 -output_ts_offset 2"});
  const fs::path joined = folder_ / "joined.ts";
  std::ofstream(joined, std::ios::binary) << std::ifstream(large, std::ios::binary).rdbuf()
                                          << std::ifstream(small, std::ios::binary).rdbuf();
  const auto frames = sample_video(joined, {});
  ASSERT_TRUE(frames) << frames.reason();
  const std::vector<int> taken = numbers(*frames);
  ASSERT_EQ(taken.size(), 4u);
  EXPECT_EQ(taken[1], 25);
  EXPECT_LT(taken[2], 5);  // of the second clip; muxers delay the two differently by a few pictures
  EXPECT_EQ(taken[3], taken[2] + 25);
  for (const Frame& frame : *frames) EXPECT_EQ(frame.size, (FrameSize{96, 128}));
  const auto exact = sample_video(joined, {.resize = ResizeMode::kExact});
  ASSERT_TRUE(exact) << exact.reason();
  EXPECT_EQ(numbers(*exact), taken);
  for (const Frame& frame : *exact) EXPECT_EQ(frame.size, (FrameSize{96, 128}));
}

TEST_F(SamplerTest, KeepsTheTimelineThroughDamage) {
  const fs::path path = clip("damaged.mp4", {.frames = 250});  // a keyframe every 50 pictures
  const test::CommandResult probed =
      test::run_command("ffprobe -v error -show_entries packet=pos -of csv=p=0 " + path.string());
  std::istringstream lines(probed.out);
  const std::vector<int64_t> places{std::istream_iterator<int64_t>(lines), {}};
  ASSERT_EQ(places.size(), 250u);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(places[105]);
  file << std::string(static_cast<size_t>(places[140] - places[105]), '\xaa');
  file.close();
  std::vector<int> taken = sampled_numbers(path);
  ASSERT_EQ(taken.size(), 10u);
  EXPECT_GE(taken[5], 100);  // what is left of the third group, whose picture 125 is lost
  EXPECT_LT(taken[5], 150);
  taken.erase(taken.begin() + 5);
  EXPECT_THAT(taken, ElementsAre(0, 25, 50, 75, 100, 150, 175, 200, 225));
}

TEST_F(SamplerTest, StopsAtTheLastIndexAskedFor) {
  const auto frames = sample_video(clip("last.mp4", {.frames = 100}), {}, 1);
  ASSERT_TRUE(frames) << frames.reason();
  EXPECT_THAT(numbers(*frames), ElementsAre(0, 25));
}

TEST_F(SamplerTest, ProbesWhatItWillSample) {
  const fs::path path = clip("probe.ts", {.frames = 60});
  const auto info = probe(path, {.fps = 2.0});
  ASSERT_TRUE(info) << info.reason();
  EXPECT_EQ(info->num_samples, 5);
  EXPECT_EQ(info->size, (FrameSize{96, 128}));
  EXPECT_NEAR(info->duration, 2.4, 1e-9);
  EXPECT_NEAR(info->frame_rate, 25.0, 1e-9);
  EXPECT_GT(info->start, 1.0);  // the muxer's delay of 1.4 s and the B-frames'
}

TEST_F(SamplerTest, ProbesWhatLooksOdd) {
  const auto regular = probe(clip("regular.mp4", {.frames = 60}), {});
  ASSERT_TRUE(regular) << regular.reason();
  EXPECT_EQ(regular->num_pictures, 60);
  EXPECT_NEAR(regular->longest_frame_duration, 0.04, 1e-9);
  EXPECT_NEAR(regular->announced_duration, 2.4, 1e-3);

  // 10 pictures a second; those of 3 s to 9 s are missing: the one at 2.9 s stays for 6.1 s.
  const auto gap = probe(
      clip("gap.mp4", {.frames = 120,
                       .rate = "10",
                       .encode = "-vf \"select='lt(n,30)+gte(n,90)'\" -fps_mode vfr -c:v libx264"}),
      {});
  ASSERT_TRUE(gap) << gap.reason();
  EXPECT_EQ(gap->num_pictures, 60);
  EXPECT_NEAR(gap->longest_frame_duration, 6.1, 1e-9);

  const fs::path whole =
      clip("whole.mkv", {.frames = 200, .rate = "10", .encode = "-c:v libx264 -g 10"});
  const fs::path cut = folder_ / "cut.mkv";
  fs::copy_file(whole, cut);
  fs::resize_file(cut, fs::file_size(whole) / 2);
  const auto part = probe(cut, {});
  ASSERT_TRUE(part) << part.reason();
  EXPECT_NEAR(part->announced_duration, 20, 0.1);
  EXPECT_LT(part->duration, 15);
}

TEST_F(SamplerTest, TakesAColonInARelativeNameForWhatItIs) {
  const fs::path previous = fs::current_path();
  clip("plain.mp4", {.frames = 2});
  fs::rename(folder_ / "plain.mp4", folder_ / "http: 12:30.mp4");
  fs::current_path(folder_);
  EXPECT_THAT(sampled_numbers("http: 12:30.mp4"), ElementsAre(0));
  fs::current_path(previous);
}

TEST_F(SamplerTest, NeverTakesTheCover) {
  clip("cover.png", {.frames = 1, .size = {400, 400}, .encode = "-pix_fmt rgb24"});
  const fs::path plain = clip("plain.mp4", {.frames = 50});
  const fs::path covered = folder_ / "covered.mp4";
  test::run_or_throw(
      fmt::format("ffmpeg -v error -y -i {} -i {} -map 1 -map 0 -c copy "
                  "-disposition:v:0 attached_pic {}",
                  plain.string(), (folder_ / "cover.png").string(), covered.string()));
  EXPECT_THAT(sampled_numbers(covered), ElementsAre(0, 25));
}

TEST_F(SamplerTest, NamesTheFileAndWhatIsWrongWithIt) {
  const auto write = [this](const char* name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  };
  const fs::path missing = folder_ / "missing.mp4";
  EXPECT_THAT(reason_of(missing), HasSubstr(missing.string() + ": No such file"));
  EXPECT_THAT(reason_of(folder_), HasSubstr("a folder"));
  EXPECT_THAT(reason_of(write("empty.mp4", "")), HasSubstr("empty.mp4: the file is empty"));
  EXPECT_THAT(reason_of(write("text.mp4", "this is no video, it is a note\n")),
              HasSubstr("text.mp4: not a readable video"));
  EXPECT_THAT(reason_of(write("list.mp4", "#EXTM3U\n#EXTINF:1,\nhttp://localhost:1/a.ts\n")),
              HasSubstr("list.mp4: "));

  const fs::path whole = clip("whole.mp4", {.frames = 50});
  fs::resize_file(whole, fs::file_size(whole) / 2);  // the index stands at the end
  EXPECT_THAT(reason_of(whole), HasSubstr("moov atom not found"));
  const fs::path streamable = clip("front.mp4", {.frames = 50,
                                                 .encode = "-c:v libx264 -preset ultrafast "
                                                           "-movflags +faststart"});
  EXPECT_THAT(sampled_numbers(streamable), ElementsAre(0, 25));
  fs::resize_file(streamable, fs::file_size(streamable) - 1);  // and here in front
  EXPECT_THAT(reason_of(streamable), HasSubstr("front.mp4: it was cut off"));

  const fs::path sound = folder_ / "sound.mp4";
  test::run_or_throw("ffmpeg -v error -f lavfi -i sine=d=0.2 " + sound.string());
  EXPECT_THAT(reason_of(sound), HasSubstr("sound.mp4: there is no video stream"));
}

TEST_F(SamplerTest, SaysWhenNothingCanBeDecoded) {
  const fs::path path = clip("noise.mp4", {.frames = 50,
                                           .encode = "-c:v libx264 -preset ultrafast "
                                                     "-movflags +faststart"});
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const size_t pictures = bytes.find("mdat") + 4;
  file.clear();
  file.seekp(static_cast<std::streamoff>(pictures));
  file << std::string(bytes.size() - pictures, '\xff');
  file.close();
  EXPECT_THAT(reason_of(path), HasSubstr("none of its pictures can be decoded"));
}

}  // namespace
}  // namespace streamo::video
