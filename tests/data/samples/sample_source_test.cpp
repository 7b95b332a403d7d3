// Samples with their pictures. Each picture of the clips carries its number (5 a second), so the
// truth of "which frame stands at turn k" is 5k.
#include "data/samples/sample_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/numbered_clip.h"
#include "video/image/picture.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class SampleSources : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("samples-" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "clips");
    test::make_clip(folder_ / "clips/four.mp4", {.frames = 20, .rate = "5"});
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static fs::path write(const std::string& name, const json& content) {
    std::ofstream(folder_ / name) << content;
    return folder_ / name;
  }

  static json raw(const std::string& video) {
    return {{"video_path", video},
            {"question", json::array()},
            {"response", {{{"content", "yes"}, {"time", 3}}}}};
  }

  static json stream(const std::string& video, int rounds) {
    json record = {{"messages", json::array()}, {"videos", {video}}};
    for (int i = 0; i < rounds; ++i) {
      record["messages"].push_back({{"role", "user"}, {"content", "<stream>"}});
      record["messages"].push_back({{"role", "assistant"}, {"content", "</Silence>"}});
    }
    return record;
  }

  static std::vector<int> numbers(const std::vector<video::Frame>& frames) {
    std::vector<int> numbers;
    for (const video::Frame& frame : frames) {
      numbers.push_back(test::read_number(frame.size, frame.rgb));
    }
    return numbers;
  }

  static fs::path folder_;
};
fs::path SampleSources::folder_;

TEST_F(SampleSources, RawAnnotationsAreConvertedWhenAskedFor) {
  const SampleSource source({write("raw.json", {raw("clips/four.mp4")})}, {});
  ASSERT_EQ(source.size(), 1u);
  EXPECT_EQ(source.id(0), "raw.json:0");
  const auto sample = source.load(0);
  ASSERT_TRUE(sample) << sample.reason();
  EXPECT_EQ(sample->id, "raw.json:0");
  EXPECT_THAT(numbers(sample->frames), ElementsAre(0, 5, 10, 15));
  ASSERT_EQ(sample->conversation.messages.size(), 9u);  // system, 4 rounds
  EXPECT_EQ(sample->conversation.messages[6].content, "</Response> yes");
  EXPECT_EQ(sample->frames[0].size, video::smart_resize({96, 128}, {}));
}

TEST_F(SampleSources, TheRateIsThatOfTheOptions) {
  SourceOptions options;
  options.conversation.fps = 2.5;
  const SampleSource source({write("raw.json", raw("clips/four.mp4"))}, options);
  const auto sample = source.load(0);
  ASSERT_TRUE(sample) << sample.reason();
  EXPECT_THAT(numbers(sample->frames), ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 16, 18));
}

TEST_F(SampleSources, ADifferenceOfOneIsMended) {
  const SampleSource source(
      {write("stream.json", {stream("clips/four.mp4", 3), stream("clips/four.mp4", 5),
                             stream("clips/four.mp4", 2), stream("clips/four.mp4", 6)})},
      {});
  EXPECT_THAT(numbers(source.load(0)->frames), ElementsAre(0, 5, 10));
  EXPECT_THAT(numbers(source.load(1)->frames), ElementsAre(0, 5, 10, 15, 15));
  for (const size_t bad : {2, 3}) {
    const auto conversation = source.conversation(bad);
    ASSERT_FALSE(conversation);
    EXPECT_THAT(conversation.reason(), HasSubstr("record " + std::to_string(bad)));
    EXPECT_THAT(conversation.reason(), HasSubstr("4 frames of"));
    EXPECT_FALSE(source.load(bad));
  }
}

TEST_F(SampleSources, FramesAreResizedAsTheOptionsSay) {
  const fs::path path = write("raw.json", {raw("clips/four.mp4")});
  for (const auto mode : {video::ResizeMode::kFast, video::ResizeMode::kExact}) {
    SourceOptions options;
    options.resize = mode;
    const auto sample = SampleSource({path}, options).load(0);
    const auto frames = video::sample_video(folder_ / "clips/four.mp4",
                                            {.pixel_limits = video::PixelLimits{}, .resize = mode});
    ASSERT_TRUE(sample && frames);
    EXPECT_EQ(sample->frames[2].rgb, frames->at(2).rgb);
  }
}

// Of cached videos nothing is decoded, and not even probed.
TEST_F(SampleSources, FramesAndCountsComeFromTheCache) {
  const fs::path path = write("raw.json", {raw("clips/four.mp4"), raw("clips/four.mp4")});
  const auto plain = SampleSource({path}, {}).load(0);
  ASSERT_TRUE(plain);
  std::this_thread::sleep_for(std::chrono::milliseconds(3050));  // a new clip is not yet trusted
  for (const int64_t decoded : {1, 0}) {
    SourceOptions options;
    options.frame_cache =
        std::make_shared<video::FrameCache>(video::FrameCacheOptions{.folder = folder_ / "cache"});
    const SampleSource source({path}, options);
    for (const size_t index : {0, 1}) {
      const auto sample = source.load(index);
      ASSERT_TRUE(sample) << sample.reason();
      ASSERT_EQ(sample->frames.size(), plain->frames.size());
      for (size_t i = 0; i < plain->frames.size(); ++i) {
        EXPECT_EQ(sample->frames[i].rgb, plain->frames[i].rgb);
      }
    }
    EXPECT_EQ(options.frame_cache->counts().decoded, decoded);
    EXPECT_EQ(options.frame_cache->counts().probed, decoded);
  }
}

TEST_F(SampleSources, ReadImageFiles) {
  test::run_or_throw(fmt::format("cd {} && ffmpeg -v error -y -i clips/four.mp4 -vf fps=5 p%d.png",
                                 test::shell_quote(folder_.string())));
  json record = {{"messages",
                  {{{"role", "user"}, {"content", "<image>\n<image>"}},
                   {{"role", "assistant"}, {"content", "</Silence>"}}}},
                 {"images", {"p8.png", "p3.png", "p1.png"}}};
  const SampleSource source({write("images.json", record)}, {});
  const auto sample = source.load(0);
  ASSERT_TRUE(sample) << sample.reason();
  EXPECT_THAT(numbers(sample->frames), ElementsAre(7, 2));
  EXPECT_EQ(sample->frames[0].size, video::smart_resize({96, 128}, {}));
  const auto picture = video::read_picture(folder_ / "p3.png", video::PixelLimits{});
  ASSERT_TRUE(picture) << picture.reason();
  EXPECT_EQ(sample->frames[1].rgb, picture->rgb);
  record["images"] = {"p8.png", "missing.png"};
  const SampleSource broken({write("images.json", record)}, {});
  EXPECT_THAT(broken.load(0).reason(), HasSubstr("missing.png"));
}

TEST_F(SampleSources, PathsAreFoundBesideTheAnnotationOrBehindThePrefix) {
  const std::string absolute = (folder_ / "clips/four.mp4").string();
  EXPECT_TRUE(SampleSource({write("a.json", {raw(absolute)})}, {}).conversation(0));
  SourceOptions options;
  options.video_prefix = folder_ / "clips";
  const SampleSource source({write("a.json", {raw("four.mp4"), raw(absolute)})}, options);
  ASSERT_TRUE(source.conversation(0)) << source.conversation(0).reason();
  EXPECT_EQ(source.conversation(0)->video_path, absolute);
  EXPECT_TRUE(source.conversation(1));
}

// What leads out, and how, is tested in video_root_test.cpp.
TEST_F(SampleSources, PathsOutOfThePrefixAreBadSamples) {
  fs::create_directories(folder_ / "prefix");
  fs::create_symlink("../clips/four.mp4", folder_ / "prefix/linked.mp4");
  json pictures = stream("", 1);
  pictures.erase("videos");
  pictures["messages"][0]["content"] = "<image>";
  pictures["images"] = {"../p0.png"};
  const fs::path raws = write("raws.json", {raw("../clips/four.mp4"), raw("linked.mp4")});
  const fs::path streams = write("streams.json", {stream("../clips/four.mp4", 4), pictures});
  SourceOptions options;
  options.video_prefix = folder_ / "prefix";
  const SampleSource source({raws, streams}, options);
  for (size_t i = 0; i < source.size(); ++i) {
    EXPECT_THAT(source.conversation(i).reason(), HasSubstr("leads out of the video prefix"));
    EXPECT_THAT(source.load(i).reason(), HasSubstr("line 1"));
  }
  options.allow_outside_prefix = true;
  const SampleSource allowed({raws, streams}, options);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(allowed.load(i)) << allowed.load(i).reason();
}

TEST_F(SampleSources, HoldSeveralFiles) {
  const fs::path one = write("one.json", {raw("clips/four.mp4"), raw("clips/four.mp4")});
  const fs::path two = write("two.json", {stream("clips/four.mp4", 4)});
  const SampleSource source({one, two}, {});
  ASSERT_EQ(source.size(), 3u);
  EXPECT_EQ(source.id(1), "one.json:1");
  EXPECT_EQ(source.id(2), "two.json:0");
  EXPECT_EQ(source.conversation(2)->messages.size(), 8u);
  // Two files of one name are told apart by their folders.
  fs::create_directories(folder_ / "other");
  const fs::path other = write("other/one.json", {stream("../clips/four.mp4", 4)});
  EXPECT_EQ(SampleSource({one, other}, {}).id(2), other.string() + ":0");
}

TEST_F(SampleSources, NameMissingVideosAndBadRecords) {
  const SampleSource source(
      {write("bad.json", {raw("clips/none.mp4"), {{"video_path", "a"}, {"responses", {}}}})}, {});
  EXPECT_THAT(source.load(0).reason(), HasSubstr("none.mp4"));
  EXPECT_THAT(source.conversation(1).reason(), HasSubstr("record 1, line 1"));
  EXPECT_THAT(source.conversation(1).reason(), HasSubstr("did you mean \"response\""));
}

std::string error_message(const std::vector<fs::path>& files, const SourceOptions& options) {
  try {
    const SampleSource source(files, options);
    return "";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kData);
    return error.what();
  }
}

TEST_F(SampleSources, RefuseUnusableFiles) {
  EXPECT_THAT(error_message({folder_ / "none.json"}, {}), HasSubstr("none.json"));
  EXPECT_THAT(error_message({write("e.json", json::array())}, {}), HasSubstr("no records"));
  const std::string message = error_message({write("m.json", {{{"message", 1}}})}, {});
  EXPECT_THAT(message, HasSubstr("unknown field \"message\", did you mean \"messages\"?"));
  EXPECT_THAT(error_message({write("m.json", {{{"a", 1}, {"b", 2}}})}, {}), HasSubstr("a, b"));
}

// Wherever they lie and whatever they are called.
TEST_F(SampleSources, FilesAreToldByTheirContent) {
  const auto hash_of = [](const fs::path& path) {
    return SampleSource({path}, {}).file_contents().at(0).hash;
  };
  const std::string before = hash_of(write("f.json", {raw("a"), raw("b")}));
  EXPECT_EQ(hash_of(write("g.json", {raw("a"), raw("b")})), before);
  EXPECT_NE(hash_of(write("f.json", {raw("a"), raw("c")})), before);
}

TEST_F(SampleSources, VideosAreToldBySizeAndEnds) {
  const SampleSource source({write("f.json", {raw("one"), raw("two"), raw("three")})}, {});
  const auto id_of = [&](size_t sample) {
    return SampleSource({folder_ / "f.json"}, {}).content_id(sample);
  };
  std::string video(200'000, 'v');
  const auto put = [&](const std::string& name) {
    std::ofstream(folder_ / name, std::ios::binary) << video;
  };
  put("one");
  put("two");
  ASSERT_TRUE(id_of(0));
  EXPECT_EQ(*id_of(0), *id_of(1));
  video[3] = 'w';
  put("two");
  EXPECT_NE(*id_of(0), *id_of(1));
  video[3] = 'v';
  video[199'990] = 'w';
  put("two");
  EXPECT_NE(*id_of(0), *id_of(1));
  EXPECT_FALSE(id_of(2));
  EXPECT_THAT(id_of(2).reason(), HasSubstr("three: No such file or directory"));
}

}  // namespace
}  // namespace streamo::data
