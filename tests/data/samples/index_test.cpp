// What there is to train on. The truth of an item's length is the length of its encoding, which
// tests/data/example_test.cpp holds against the format by hand.
#include "data/samples/index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/samples/training_example.h"
#include "support/numbered_clip.h"
#include "text/tokenizer_fixture.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kTokenSide = 28;

class Indices : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("index-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    test::make_clip(folder_ / "twelve.mp4", {.frames = 24, .rate = "2"});
    test::make_clip(folder_ / "four.mp4", {.frames = 8, .rate = "2", .size = {128, 192}});
    test::make_clip(folder_ / "strip.mp4", {.frames = 2, .rate = "2", .size = {16, 3360}});
    std::ofstream(folder_ / "text.mp4") << "this is no video\n";
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static json raw(const std::string& video) {
    return {{"video_path", video},
            {"question", {{{"content", "When does the red ball cross the line?"}, {"time", 1}}}},
            {"response", {{{"content", "It crosses the line now."}, {"time", 3}}}}};
  }

  static SampleSource make_source(const json& records) {
    std::ofstream(folder_ / "raw.json") << records;
    SourceOptions options;
    options.conversation.system_prompt = "Watch.";
    return SampleSource({folder_ / "raw.json"}, options);
  }

  static const text::ChatFormat& chat() {
    static const text::ChatFormat format(text::small_tokenizer());
    return format;
  }

  static Index index_samples(const SampleSource& source, int64_t max_length, Overlong overlong,
                             SampleReport& report) {
    return build_index(source, chat(),
                       {.max_length = max_length, .overlong = overlong, .num_workers = 2}, report);
  }

  static Example encoded(const SampleSource& source, const Item& item) {
    auto sample = source.load(item.sample);
    EXPECT_TRUE(sample) << sample.reason();
    auto example = encode_example(
        cut_window(*std::move(sample), item.first_round, item.num_rounds, item.sink_rounds), chat(),
        kTokenSide, item.sink_rounds + item.seen_rounds);
    EXPECT_TRUE(example) << example.reason();
    return *std::move(example);
  }

  // Every item is as long as its encoding, and no longer than allowed; the totals are their sums.
  static void expect_lengths_of_the_encoding(const SampleSource& source, const Index& index,
                                             int64_t max_length) {
    int64_t tokens = 0, frames = 0;
    for (const Item& item : index.items) {
      const Example example = encoded(source, item);
      EXPECT_EQ(item.tokens, static_cast<int64_t>(example.input_ids.size()));
      EXPECT_EQ(item.supervised, static_cast<int64_t>(example.targets.size()));
      EXPECT_EQ(item.frames, static_cast<int64_t>(example.frames.size()));
      int64_t visual_tokens = 0;
      for (const video::Frame& frame : example.frames)
        visual_tokens += frame.size.width / kTokenSide * (frame.size.height / kTokenSide);
      EXPECT_EQ(item.visual_tokens, visual_tokens);
      EXPECT_LE(item.tokens, max_length);
      tokens += item.tokens;
      frames += item.frames;
    }
    EXPECT_EQ(index.total_tokens, tokens);
    EXPECT_EQ(index.total_frames, frames);
  }

  static fs::path folder_;
};
fs::path Indices::folder_;

TEST_F(Indices, HoldASampleAsOneItemWhenItFits) {
  const SampleSource source = make_source({raw("twelve.mp4"), raw("four.mp4")});
  SampleReport report;
  const Index index = index_samples(source, 32768, Overlong::kSplit, report);
  ASSERT_EQ(index.items.size(), 2u);
  EXPECT_EQ(index.items[0].num_rounds, 12);
  EXPECT_EQ(index.items[1].num_rounds, 4);
  EXPECT_EQ(index.items[1].sample, 1u);
  EXPECT_EQ(index.total_frames, 16);
  EXPECT_EQ(index.overlong_samples, 0);
  EXPECT_EQ(report.size(), 0);
  expect_lengths_of_the_encoding(source, index, 32768);
  // Exactly as long as allowed is not too long; one token less is.
  const int64_t longest = index.items[0].tokens;
  EXPECT_EQ(index_samples(source, longest, Overlong::kSplit, report).items.size(), 2u);
  EXPECT_EQ(index_samples(source, longest - 1, Overlong::kSplit, report).items.size(), 3u);
}

TEST_F(Indices, SplitCoversEveryRoundOnceInTheLongestWindows) {
  const SampleSource source = make_source({raw("twelve.mp4"), raw("four.mp4")});
  SampleReport report;
  for (const int64_t max_length : {150, 200, 301}) {
    const Index index = index_samples(source, max_length, Overlong::kSplit, report);
    expect_lengths_of_the_encoding(source, index, max_length);
    std::vector<int64_t> next = {0, 0};
    for (const Item& item : index.items) {
      EXPECT_EQ(item.first_round, next[item.sample]);
      next[item.sample] += item.num_rounds;
      if (next[item.sample] == (item.sample == 0 ? 12 : 4)) continue;
      Item longer = item;
      ++longer.num_rounds;
      EXPECT_GT(static_cast<int64_t>(encoded(source, longer).input_ids.size()), max_length)
          << "one more round would have fitted";
    }
    EXPECT_THAT(next, ElementsAre(12, 4)) << max_length;
    EXPECT_GE(index.overlong_samples, 1);
  }
  EXPECT_EQ(report.size(), 0);
}

TEST_F(Indices, TruncateKeepsTheBeginning) {
  const SampleSource source = make_source({raw("twelve.mp4"), raw("four.mp4")});
  SampleReport report;
  const Index index = index_samples(source, 200, Overlong::kTruncate, report);
  ASSERT_EQ(index.items.size(), 2u);
  EXPECT_EQ(index.items[0].first_round, 0);
  EXPECT_LT(index.items[0].num_rounds, 12);
  EXPECT_EQ(report.size(), 0) << "a shortened sample is not a bad one";
  expect_lengths_of_the_encoding(source, index, 200);
}

TEST_F(Indices, DropListsTheSample) {
  const SampleSource source = make_source({raw("twelve.mp4"), raw("four.mp4")});
  SampleReport all;
  const Index whole = index_samples(source, 32768, Overlong::kDrop, all);
  ASSERT_EQ(whole.items.size(), 2u);
  const int64_t max_length = whole.items[0].tokens - 1;
  ASSERT_LE(whole.items[1].tokens, max_length);
  SampleReport report;
  const Index index = index_samples(source, max_length, Overlong::kDrop, report);
  ASSERT_EQ(index.items.size(), 1u);
  EXPECT_EQ(index.items[0].sample, 1u);
  EXPECT_EQ(index.overlong_samples, 1);
  EXPECT_THAT(report.entries().at("raw.json:0"),
              HasSubstr("data.max_length = " + std::to_string(max_length)));
}

TEST_F(Indices, OverlappingWindowsLearnFromEachTurnOnce) {
  const SampleSource source = make_source({raw("twelve.mp4")});
  SampleReport report;
  const Index whole = index_samples(source, 32768, Overlong::kSplit, report);
  for (const ContextRule& context :
       {ContextRule{.max_rounds = 5}, ContextRule{.max_rounds = 5, .overlap_rounds = 3},
        ContextRule{.max_rounds = 6, .overlap_rounds = 2, .sink_rounds = 2}}) {
    for (const int64_t max_length : {32768, 220}) {  // 220: fewer rounds than max_rounds fit
      const Index index = build_index(
          source, chat(), {.max_length = max_length, .context = context, .num_workers = 2}, report);
      expect_lengths_of_the_encoding(source, index, max_length);
      int64_t next = 0, supervised = 0;
      for (const Item& item : index.items) {
        EXPECT_EQ(item.first_round + item.seen_rounds, next);
        EXPECT_LE(item.num_rounds, context.max_rounds);
        EXPECT_LE(item.seen_rounds, context.overlap_rounds);
        if (max_length > 220) {
          EXPECT_EQ(item.first_round, window_begin(context, next));
        }
        next = item.first_round + item.num_rounds;
        supervised += item.supervised;
      }
      EXPECT_EQ(next, 12);
      EXPECT_EQ(supervised, whole.items[0].supervised);
    }
  }
}

TEST_F(Indices, ALastTurnWithoutAnswerDoesNotShiftThePictures) {
  json record = {{"messages", json::array()}, {"videos", {"twelve.mp4"}}};
  for (int turn = 0; turn < 12; ++turn) {
    record["messages"].push_back({{"role", "user"}, {"content", "<stream>"}});
    record["messages"].push_back({{"role", "assistant"}, {"content", "</Silence>"}});
  }
  record["messages"].erase(23);
  const SampleSource source = make_source({record});
  SampleReport report;
  for (const int64_t max_length : {150, 32768}) {
    const Index index = index_samples(source, max_length, Overlong::kSplit, report);
    EXPECT_EQ(index.total_frames, 11);
    expect_lengths_of_the_encoding(source, index, max_length);
    for (const Item& item : index.items) {
      EXPECT_EQ(encoded(source, item).frames.front().index, item.first_round);
    }
  }
}

TEST_F(Indices, ReportBadSamplesAndKeepTheRest) {
  const SampleSource source = make_source({raw("none.mp4"),
                                           raw("four.mp4"),
                                           raw("text.mp4"),
                                           {{"video_path", "four.mp4"}},
                                           raw("twelve.mp4"),
                                           raw("strip.mp4")});
  SampleReport report;
  const Index index = index_samples(source, 32768, Overlong::kSplit, report);
  ASSERT_EQ(index.items.size(), 2u);
  EXPECT_EQ(index.items[0].sample, 1u);
  EXPECT_EQ(index.items[1].sample, 4u);
  expect_lengths_of_the_encoding(source, index, 32768);
  const auto skipped = report.entries();
  ASSERT_EQ(skipped.size(), 4u);
  EXPECT_THAT(skipped.at("raw.json:0"), HasSubstr("none.mp4"));
  EXPECT_THAT(skipped.at("raw.json:2"), HasSubstr("text.mp4"));
  EXPECT_THAT(skipped.at("raw.json:3"), HasSubstr("response"));
  EXPECT_THAT(skipped.at("raw.json:5"), HasSubstr("strip.mp4: a picture of 3360x16 pixels"));
}

TEST_F(Indices, RefuseToStartWithNothing) {
  const auto error_message = [](const SampleSource& source, int64_t max_length) -> std::string {
    SampleReport report;
    try {
      index_samples(source, max_length, Overlong::kSplit, report);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kData);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_message(make_source({raw("none.mp4")}), 32768),
              testing::AllOf(HasSubstr("no sample can be used"), HasSubstr("raw.json:0"),
                             HasSubstr("none.mp4")));
  EXPECT_THAT(error_message(make_source({raw("four.mp4")}), 20),
              HasSubstr("longer than data.max_length = 20 tokens"));
}

TEST(OverlongNames, AreThoseOfTheConfig) {
  EXPECT_EQ(parse_overlong("drop"), Overlong::kDrop);
  EXPECT_EQ(parse_overlong("split"), Overlong::kSplit);
  EXPECT_EQ(parse_overlong("truncate"), Overlong::kTruncate);
}

}  // namespace
}  // namespace streamo::data
