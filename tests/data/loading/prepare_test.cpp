// Filling a cache before a run. What is right is what the cache and a source say of it afterwards.
#include "data/loading/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/numbered_clip.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr int kVideos = 12;

class Prepare : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = fs::path(testing::TempDir()) / ("prepare-" + std::to_string(::getpid()));
    fs::create_directories(root_);
    json train = json::array(), eval = json::array();
    for (const std::string& clip : test::make_growing_clips(root_, kVideos)) {
      json& set = train.size() < 18 ? train : eval;
      for (int sample = 0; sample < 2; ++sample) set.push_back(record(clip));
    }
    eval.push_back(record("0.mp4"));  // also trained on
    eval.push_back(record("text.mp4"));
    std::ofstream(root_ / "text.mp4") << "no video";
    train.push_back(record("missing.mp4"));
    train.push_back({{"messages", 7}});  // the training says what is wrong with it
    std::ofstream(root_ / "train.json") << train;
    std::ofstream(root_ / "eval.json") << eval;
    std::this_thread::sleep_for(std::chrono::milliseconds(3050));
  }
  static void TearDownTestSuite() { fs::remove_all(root_); }
  void TearDown() override { fs::remove_all(root_ / "cache"); }

  static json record(const std::string& video) {
    return {{"video_path", video}, {"question", json::array()}, {"response", json::array()}};
  }

  struct Opened {
    std::shared_ptr<video::FrameCache> cache =
        std::make_shared<video::FrameCache>(video::FrameCacheOptions{.folder = root_ / "cache"});
    SampleSource train{{root_ / "train.json"}, options()};
    SampleSource eval{{root_ / "eval.json"}, options()};

    SourceOptions options() const {
      SourceOptions options;
      options.frame_cache = cache;
      return options;
    }
    PrepareResult fill(PrepareOptions options = {.num_workers = 2}) const {
      return fill_frame_cache({&train, &eval}, options);
    }
  };

  static fs::path root_;
};
fs::path Prepare::root_;

TEST_F(Prepare, FillsTheCacheOnceAndListsBadVideos) {
  const Opened first;
  int64_t calls = 0;
  PrepareProgress last;
  const PrepareResult made =
      first.fill({.num_workers = 3, .progress = [&](const PrepareProgress& now) {
                    EXPECT_EQ(now.done, ++calls);
                    last = now;
                  }});
  EXPECT_TRUE(made.complete);
  EXPECT_EQ(made.progress.videos, kVideos + 2);
  EXPECT_EQ(made.progress.present, 0);
  EXPECT_EQ(made.progress.done, kVideos + 2);
  EXPECT_EQ(last.done, kVideos + 2);
  EXPECT_GT(made.progress.bytes, 0);
  EXPECT_EQ(made.progress.seconds, kVideos * (2 + kVideos + 1) / 2);  // 2 + 3 + ... + 13
  ASSERT_EQ(made.bad.size(), 2u);
  EXPECT_THAT(made.bad.begin()->second, HasSubstr("missing.mp4"));
  EXPECT_THAT(made.bad.rbegin()->second, HasSubstr("text.mp4"));

  const Opened second;
  const PrepareResult again = second.fill();
  EXPECT_EQ(again.progress.present, kVideos);
  EXPECT_EQ(again.progress.done, 2) << "the bad ones";
  EXPECT_EQ(again.bad, made.bad);
  const Opened run;
  for (size_t i = 0; i < 18; ++i) ASSERT_TRUE(run.train.load(i));
  EXPECT_EQ(run.cache->counts().decoded, 0);
  EXPECT_EQ(run.cache->counts().probed, 0);
}

TEST_F(Prepare, GoesOnWhereItWasStopped) {
  int64_t made_before = 0;
  {
    const Opened first;
    std::atomic<int> asked{0};
    const PrepareResult stopped =
        first.fill({.num_workers = 2, .stopped = [&] { return ++asked > 5; }});
    EXPECT_FALSE(stopped.complete);
    made_before = first.cache->counts().written;
    EXPECT_GT(made_before, 0);
    EXPECT_LT(made_before, kVideos);
  }
  const Opened second;
  const PrepareResult rest = second.fill();
  EXPECT_TRUE(rest.complete);
  EXPECT_EQ(rest.progress.present, made_before);
  EXPECT_EQ(second.cache->counts().written, kVideos - made_before);
}

// Two processes with orders of their own share the work: hardly a video is decoded twice.
TEST_F(Prepare, SeveralMachinesAtOnce) {
  const pid_t child = ::fork();
  const Opened mine;
  const PrepareResult result =
      mine.fill({.num_workers = 1, .seed = child == 0 ? uint64_t{1} : uint64_t{2}});
  const bool right = result.complete && result.bad.size() == 2;
  if (child == 0) std::_Exit(right ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(right);
  EXPECT_EQ(status, 0);
  const Opened after;
  EXPECT_EQ(after.fill().progress.present, kVideos);
}

TEST_F(Prepare, AVideoWrittenJustNowIsKeptToo) {
  fs::copy_file(root_ / "3.mp4", root_ / "new.mp4");
  std::ofstream(root_ / "new.json") << record("new.mp4");
  const Opened opened;
  const SampleSource source({root_ / "new.json"}, opened.options());
  const PrepareResult result = fill_frame_cache({&source}, {.num_workers = 1});
  EXPECT_TRUE(result.bad.empty());
  EXPECT_EQ(opened.cache->counts().written, 1);
  EXPECT_TRUE(opened.cache->contains(root_ / "new.mp4", source.sample_options()));
}

TEST_F(Prepare, AFullCacheEndsIt) {
  const auto cache = std::make_shared<video::FrameCache>(
      video::FrameCacheOptions{.folder = root_ / "cache", .max_bytes = 40 << 10});
  SourceOptions options;
  options.frame_cache = cache;
  const SampleSource source({root_ / "train.json"}, options);
  const PrepareResult result = fill_frame_cache({&source}, {.num_workers = 1});
  EXPECT_FALSE(result.complete);
  EXPECT_THAT(cache->why_not_writing(), HasSubstr("data.frame_cache_max_gb"));
  EXPECT_LT(result.progress.done, result.progress.videos);
}

}  // namespace
}  // namespace streamo::data
