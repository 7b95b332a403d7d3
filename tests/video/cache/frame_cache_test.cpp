// The truth is video::sample_video and video::probe on the same file, bit for bit.
#include "video/cache/frame_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "core/io/file.h"
#include "support/numbered_clip.h"
#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A file just written may be written again within one tick of its clock: the cache lets it be for a
// while (content_hash.h).
void settle() {
  std::this_thread::sleep_for(std::chrono::milliseconds(3050));
}

class FrameCacheTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = fs::path(testing::TempDir()) / ("frame cache-" + std::to_string(::getpid()));
    fs::create_directories(root_);
    test::make_clip(root_ / "a.mp4", {.frames = 60, .rate = "5"});
    test::make_clip(root_ / "b.mp4", {.frames = 30, .rate = "5"});
    test::make_clip(root_ / "changing.mp4", {.frames = 30, .rate = "5"});
    std::ofstream(root_ / "text.mp4") << "no video";
    settle();
  }
  static void TearDownTestSuite() { fs::remove_all(root_); }
  void TearDown() override { fs::remove_all(folder_); }

  FrameCache open(int jpeg_quality = 0, int64_t max_bytes = 0) const {
    return FrameCache({.folder = folder_, .max_bytes = max_bytes, .jpeg_quality = jpeg_quality});
  }

  static SampleOptions options() {
    return {.pixel_limits = PixelLimits{.min_pixels = 784, .max_pixels = 6272}};
  }

  static void expect_equal(const core::Result<std::vector<Frame>>& a,
                           const core::Result<std::vector<Frame>>& b) {
    ASSERT_TRUE(a) << a.reason();
    ASSERT_TRUE(b) << b.reason();
    ASSERT_EQ(a->size(), b->size());
    for (size_t i = 0; i < a->size(); ++i) {
      EXPECT_EQ((*a)[i].index, (*b)[i].index);
      EXPECT_EQ((*a)[i].time, (*b)[i].time);
      EXPECT_EQ((*a)[i].pts_time, (*b)[i].pts_time);
      EXPECT_EQ((*a)[i].keyframe, (*b)[i].keyframe);
      EXPECT_EQ((*a)[i].size, (*b)[i].size);
      EXPECT_EQ((*a)[i].rgb, (*b)[i].rgb);
    }
  }

  // `counts` as found, decoded, written, damaged, probed.
  static std::vector<int64_t> as_list(const FrameCacheCounts& counts) {
    return {counts.found, counts.decoded, counts.written, counts.damaged, counts.probed};
  }

  std::vector<fs::path> files(const std::string& extension) const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().extension() == extension) paths.push_back(entry.path());
    }
    return paths;
  }

  static fs::path root_;
  const fs::path folder_ = root_ / "cache";
};
fs::path FrameCacheTest::root_;

TEST_F(FrameCacheTest, PixelsTimesAndInfoAreThoseOfTheSampler) {
  for (const ResizeMode mode : {ResizeMode::kFast, ResizeMode::kExact}) {
    for (const double fps : {1.0, 2.5}) {
      SampleOptions sampling = options();
      sampling.fps = fps;
      sampling.resize = mode;
      for (int pass = 0; pass < 2; ++pass) {
        FrameCache cache = open();
        expect_equal(cache.sample_video(root_ / "a.mp4", sampling),
                     video::sample_video(root_ / "a.mp4", sampling));
        EXPECT_EQ(cache.counts().found, pass);
        EXPECT_EQ(cache.counts().decoded, 1 - pass);
        const auto info = cache.probe(root_ / "a.mp4", sampling);
        const auto truth = video::probe(root_ / "a.mp4", sampling);
        ASSERT_TRUE(info && truth);
        EXPECT_EQ(info->start, truth->start);
        EXPECT_EQ(info->duration, truth->duration);
        EXPECT_EQ(info->frame_rate, truth->frame_rate);
        EXPECT_EQ(info->size, truth->size);
        EXPECT_EQ(info->num_samples, truth->num_samples);
      }
    }
  }
}

TEST_F(FrameCacheTest, AVideoInTheCacheIsNeverOpened) {
  expect_equal(open().sample_video(root_ / "a.mp4", options()),
               video::sample_video(root_ / "a.mp4", options()));
  const FileDescriptor watch(::inotify_init1(IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(watch.get(), (root_ / "a.mp4").c_str(), IN_OPEN | IN_ACCESS), 0);
  FrameCache cache = open();
  ASSERT_TRUE(cache.probe(root_ / "a.mp4", options()));
  ASSERT_TRUE(cache.sample_video(root_ / "a.mp4", options()));
  EXPECT_TRUE(cache.contains(root_ / "a.mp4", options()));
  EXPECT_EQ(as_list(cache.counts()), (std::vector<int64_t>{1, 0, 0, 0, 0}));
  std::array<char, 4096> events{};
  EXPECT_EQ(::read(watch.get(), events.data(), events.size()), -1) << "it was opened";
  ASSERT_TRUE(video::probe(root_ / "a.mp4", options()));
  EXPECT_GT(::read(watch.get(), events.data(), events.size()), 0) << "the watch sees nothing";
}

TEST_F(FrameCacheTest, EachSettingHasItsOwnEntry) {
  std::vector<SampleOptions> all(8, options());
  all[1].fps = 2;
  all[2].phase = 0.5;
  all[3].pixel_limits->min_pixels = 785;
  all[4].pixel_limits->max_pixels = 6271;
  all[5].pixel_limits->factor = 14;
  all[6].pixel_limits.reset();
  all[7].resize = ResizeMode::kExact;
  size_t entries = 0;
  for (const int quality : {0, 80, 81}) {
    for (const SampleOptions& sampling : all) {
      FrameCache cache = open(quality);
      EXPECT_FALSE(cache.contains(root_ / "b.mp4", sampling));
      ASSERT_TRUE(cache.sample_video(root_ / "b.mp4", sampling));
      EXPECT_TRUE(cache.contains(root_ / "b.mp4", sampling));
      EXPECT_EQ(files(".frames").size(), ++entries);
    }
  }
}

TEST_F(FrameCacheTest, ContentCountsNotNameOrTime) {
  FrameCache cache = open();
  const fs::path video = root_ / "changing.mp4";
  const auto before = video::sample_video(video, options());
  expect_equal(cache.sample_video(video, options()), before);

  // Touched and copied: the same entry, after one more look at the content.
  fs::last_write_time(video, fs::file_time_type::clock::now() - std::chrono::hours(3));
  fs::copy_file(video, root_ / "copy.mp4");
  settle();
  EXPECT_FALSE(cache.contains(video, options())) << "not before it was hashed again";
  expect_equal(cache.sample_video(video, options()), before);
  expect_equal(cache.sample_video(root_ / "copy.mp4", options()), before);
  EXPECT_EQ(as_list(cache.counts()), (std::vector<int64_t>{2, 1, 1, 0, 3}));
  EXPECT_EQ(files(".frames").size(), 1u);

  // Other pictures under the same name, in the same bytes, with the times of before.
  const auto times = fs::last_write_time(video);
  const auto size = fs::file_size(video);
  test::make_clip(root_ / "other.mp4", {.frames = 15, .rate = "5"});
  std::string content = core::read_file(root_ / "other.mp4");
  ASSERT_LT(content.size(), size);
  content.resize(size, '\0');
  std::ofstream(video, std::ios::binary) << content;
  fs::last_write_time(video, times);
  const auto now = video::sample_video(video, options());
  for (int pass = 0; pass < 3; ++pass) {  // at once, before the file is trusted; then with it
    expect_equal(cache.sample_video(video, options()), now);
    if (pass == 0) settle();
  }
  EXPECT_NE(now->size(), before->size());
  EXPECT_EQ(as_list(cache.counts()), (std::vector<int64_t>{3, 3, 2, 0, 4}));
}

TEST_F(FrameCacheTest, DamagedEntriesAreMadeAnew) {
  const auto truth = video::sample_video(root_ / "a.mp4", options());
  expect_equal(open().sample_video(root_ / "a.mp4", options()), truth);
  const fs::path entry = files(".frames").at(0), note = files(".note").at(0);
  const std::string whole = core::read_file(entry);
  const auto bytes = static_cast<int64_t>(whole.size());
  int64_t cases = 0;
  FrameCache cache = open();
  // Head, key, records, first picture, last byte.
  for (const int64_t place :
       {int64_t{0}, int64_t{9}, int64_t{20}, int64_t{50}, int64_t{400}, bytes / 2, bytes - 1}) {
    std::string damaged = whole;
    damaged[static_cast<size_t>(place)] ^= 1;
    std::ofstream(entry, std::ios::binary) << damaged;
    expect_equal(cache.sample_video(root_ / "a.mp4", options()), truth);
    EXPECT_EQ(cache.counts().damaged, ++cases) << place;
    EXPECT_EQ(core::read_file(entry), whole);
  }
  for (const int64_t length : {int64_t{0}, int64_t{39}, int64_t{300}, bytes - 1}) {
    fs::resize_file(entry, static_cast<uintmax_t>(length));
    expect_equal(cache.sample_video(root_ / "a.mp4", options()), truth);
    EXPECT_EQ(cache.counts().damaged, ++cases) << length;
    EXPECT_EQ(core::read_file(entry), whole);
  }
  const std::string whole_note = core::read_file(note);
  for (size_t place = 0; place < whole_note.size(); place += 8) {
    std::string damaged = whole_note;
    damaged[place] ^= 1;
    std::ofstream(note, std::ios::binary) << damaged;
    ASSERT_TRUE(cache.probe(root_ / "a.mp4", options()));
    EXPECT_EQ(cache.counts().damaged, ++cases) << place;
    EXPECT_EQ(core::read_file(note), whole_note);
  }
}

TEST_F(FrameCacheTest, LossyOnlyWhenAskedForAndTheSameHoweverItIsHad) {
  const auto exact = video::sample_video(root_ / "a.mp4", options());
  FrameCache cache = open(90);
  const auto made = cache.sample_video(root_ / "a.mp4", options());
  const auto found = cache.sample_video(root_ / "a.mp4", options());
  EXPECT_EQ(as_list(cache.counts()), (std::vector<int64_t>{1, 1, 1, 0, 1}));
  expect_equal(made, found);
  fs::remove_all(folder_);
  // /proc may be read, and nobody can write there: as if the folder was read-only.
  FrameCache unwritten({.folder = "/proc", .jpeg_quality = 90});
  expect_equal(unwritten.sample_video(root_ / "a.mp4", options()), made);
  EXPECT_NE(unwritten.why_not_writing(), "");
  EXPECT_NE((*made)[3].rgb, (*exact)[3].rgb);
  double error = 0;
  for (size_t i = 0; i < (*made)[3].rgb.size(); ++i) {
    error += std::pow((*made)[3].rgb[i] - (*exact)[3].rgb[i], 2);
  }
  EXPECT_LT(error / static_cast<double>((*made)[3].rgb.size()), 20) << "above 35 dB";
}

TEST_F(FrameCacheTest, FaultsAreThoseOfTheSamplerAndAreNotKept) {
  FrameCache cache = open();
  for (const char* name : {"missing.mp4", "text.mp4", ""}) {
    const auto frames = cache.sample_video(root_ / name, options());
    const auto truth = video::sample_video(root_ / name, options());
    ASSERT_FALSE(frames);
    EXPECT_EQ(frames.reason(), truth.reason());
    EXPECT_FALSE(cache.probe(root_ / name, options()));
  }
  EXPECT_TRUE(files(".frames").empty());
  EXPECT_TRUE(files(".note").empty());
}

TEST_F(FrameCacheTest, AReadOnlyOneTakesWhatIsThereAndAddsNothing) {
  const auto a = open().sample_video(root_ / "a.mp4", options());
  const size_t before = files(".note").size() + files(".frames").size();
  FrameCache cache({.folder = folder_, .is_read_only = true});
  expect_equal(cache.sample_video(root_ / "a.mp4", options()), a);
  expect_equal(cache.sample_video(root_ / "b.mp4", options()),
               sample_video(root_ / "b.mp4", options()));
  const auto info = cache.probe(root_ / "b.mp4", options());
  ASSERT_TRUE(info) << info.reason();
  EXPECT_EQ(info->num_samples, 6);
  EXPECT_EQ(as_list(cache.counts()), (std::vector<int64_t>{1, 1, 0, 0, 0}));
  EXPECT_EQ(files(".note").size() + files(".frames").size(), before);
}

TEST_F(FrameCacheTest, GivesUpAVideoThatStandsStillWhileItIsHashed) {
  FrameCache cache = open();
  SampleOptions hasty = options();
  hasty.time_limit = 1e-9;
  const auto frames = cache.sample_video(root_ / "a.mp4", hasty);
  ASSERT_FALSE(frames);
  EXPECT_THAT(frames.reason(), HasSubstr("a.mp4: it did not get on for 1e-09 s and was given up"));
  EXPECT_EQ(as_list(cache.counts()), (std::vector<int64_t>{0, 0, 0, 0, 0}));
  EXPECT_TRUE(files(".note").empty());
}

TEST_F(FrameCacheTest, ManyThreadsAndProcessesFillItAtOnce) {
  const auto truth = video::sample_video(root_ / "a.mp4", options());
  std::vector<pid_t> children;
  for (int process = 0; process < 3; ++process) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    FrameCache cache = open();
    std::atomic<int> wrong{0};
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
          for (int round = 0; round < 3; ++round) {
            const auto frames = cache.sample_video(root_ / "a.mp4", options());
            if (!frames || frames->size() != truth->size()) {
              ++wrong;
              continue;
            }
            for (size_t i = 0; i < truth->size(); ++i) {
              wrong += (*frames)[i].rgb == (*truth)[i].rgb ? 0 : 1;
            }
          }
        });
      }
    }
    std::_Exit(wrong == 0 && cache.counts().damaged == 0 ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files(".frames").size(), 1u);
}

}  // namespace
}  // namespace streamo::video
