// The check before training. Truth: what a run itself does (build_index, Plan), and a set made with
// one of each kind of problem.
#include "data/check/dataset_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "support/numbered_clip.h"
#include "text/tokenizer_fixture.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class DatasetChecks : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("check-" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "clips");
    test::make_clip(folder_ / "clips/twelve.mp4", {.frames = 24, .rate = "2"});
    test::make_clip(folder_ / "clips/four.mp4", {.frames = 8, .rate = "2", .size = {128, 192}});
    test::make_clip(folder_ / "clips/one.mp4", {.frames = 1, .rate = "2"});
    test::make_clip(folder_ / "clips/strip.mp4", {.frames = 2, .rate = "2", .size = {16, 3360}});
    test::make_clip(folder_ / "clips/picture.png", {.frames = 1, .encode = "-pix_fmt rgb24"});
    test::make_clip(folder_ / "outside.mp4", {.frames = 8, .rate = "2"});
    std::ofstream(folder_ / "clips/text.mp4") << "this is no video\n";
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static json raw(const std::string& video, const json& responses) {
    return {{"video_path", video},
            {"question", {{{"content", "When does the red ball cross the line?"}, {"time", 1}}}},
            {"response", responses}};
  }
  static json raw(const std::string& video) {
    return raw(video, {{{"content", "It crosses the line now."}, {"time", 3}}});
  }
  static json stream(const std::string& video, int rounds) {
    json record = {{"messages", json::array()}, {"videos", {video}}};
    for (int i = 0; i < rounds; ++i) {
      record["messages"].push_back({{"role", "user"}, {"content", "When?\n<stream>"}});
      record["messages"].push_back({{"role", "assistant"}, {"content", "</Silence>"}});
    }
    return record;
  }

  static SampleSource make_source(const std::string& name, const json& records) {
    std::ofstream(folder_ / name) << records;
    SourceOptions options;
    options.conversation.system_prompt = "Watch.";
    options.video_prefix = folder_ / "clips";
    return SampleSource({folder_ / name}, options);
  }

  static const text::ChatFormat& chat() {
    static const text::ChatFormat format(text::small_tokenizer());
    return format;
  }

  static DatasetCheck check(const SampleSource& source, const CheckOptions& options = {}) {
    return DatasetChecker().check("checking", source, options);
  }

  static std::vector<std::string> lines(const DatasetCheck& check, Finding finding) {
    std::vector<std::string> lines;
    for (const auto& [id, what] : check.entries(finding)) lines.push_back(id + ": " + what);
    return lines;
  }

  // All findings but for those given.
  static void expect_no_more(const DatasetCheck& check, const std::vector<Finding>& expected) {
    for (size_t i = 0; i < kNumFindings; ++i) {
      const auto finding = static_cast<Finding>(i);
      if (std::find(expected.begin(), expected.end(), finding) != expected.end()) continue;
      EXPECT_THAT(lines(check, finding), IsEmpty()) << finding_kind(finding).key;
    }
  }

  static fs::path folder_;
};
fs::path DatasetChecks::folder_;

TEST_F(DatasetChecks, FindNothingWhereAllIsWell) {
  const DatasetCheck result = check(make_source(
      "raw.json", {raw("twelve.mp4"), raw("four.mp4"), raw("four.mp4", json::array())}));
  EXPECT_EQ(result.samples, 3u);
  EXPECT_EQ(result.bad_samples, 0u);
  // The second one of four.mp4 asks the same as the first and answers nothing.
  expect_no_more(result, {Finding::kContradiction});
  EXPECT_THAT(lines(result, Finding::kContradiction),
              ElementsAre("raw.json:2: answers otherwise than raw.json:1"));
  EXPECT_EQ(result.videos, 2u);
  EXPECT_NEAR(result.video_seconds, 16, 1e-9);
  EXPECT_THAT(result.turns_of_sample, ElementsAre(12, 4, 4));
  EXPECT_THAT(result.states, ElementsAre(18, 0, 2));
  EXPECT_EQ(result.samples_without_response, 1);
  EXPECT_THAT(result.tokens_of_item, IsEmpty());
  EXPECT_EQ(dataset_problem(result, 0), std::nullopt);
}

TEST_F(DatasetChecks, TellWhyASampleCannotBeUsed) {
  json no_answer = stream("four.mp4", 4);
  no_answer["messages"] = {{{"role", "user"}, {"content", "<stream><stream><stream><stream>"}}};
  json no_picture = stream("four.mp4", 1);
  no_picture.erase("videos");
  no_picture["messages"][0]["content"] = "<image>";
  no_picture["images"] = {"none.png"};
  const SampleSource raws =
      make_source("raw.json", {raw("none.mp4"),
                               raw("text.mp4"),
                               raw("strip.mp4"),
                               raw("../outside.mp4"),
                               {{"video_path", "four.mp4"}, {"respons", json::array()}},
                               raw("four.mp4")});
  const DatasetCheck result = check(raws);
  EXPECT_EQ(result.samples, 6u);
  EXPECT_EQ(result.bad_samples, 5u);
  expect_no_more(result, {Finding::kVideo, Finding::kPicture, Finding::kPath, Finding::kRecord,
                          Finding::kExtremeShape});
  const std::string clips = (folder_ / "clips").string();
  EXPECT_THAT(lines(result, Finding::kVideo),
              ElementsAre("raw.json:0: " + clips + "/none.mp4: No such file or directory",
                          HasSubstr("raw.json:1: " + clips + "/text.mp4: not a readable video")));
  EXPECT_THAT(lines(result, Finding::kPicture),
              ElementsAre("raw.json:2: " + clips +
                          "/strip.mp4: a picture of 3360x16 pixels is too "
                          "long and thin (ratio of the sides above 200)"));
  EXPECT_THAT(lines(result, Finding::kPath),
              ElementsAre(AllOf(HasSubstr("raw.json:3: "), HasSubstr("record 3, line 1"),
                                HasSubstr("../outside.mp4 leads out of the video prefix"))));
  EXPECT_THAT(lines(result, Finding::kRecord), ElementsAre(HasSubstr("did you mean \"response\"")));
  EXPECT_EQ(result.videos, 4u);
  EXPECT_EQ(result.unreadable_videos, 2u);

  const DatasetCheck streams = check(make_source(
      "stream.json", {no_answer, stream("four.mp4", 7), no_picture, stream("four.mp4", 4)}));
  EXPECT_EQ(streams.bad_samples, 3u);
  expect_no_more(streams, {Finding::kUnsupervised, Finding::kFrames, Finding::kPicture});
  EXPECT_THAT(lines(streams, Finding::kUnsupervised),
              ElementsAre("stream.json:0: no user turn with an answer"));
  EXPECT_THAT(lines(streams, Finding::kFrames),
              ElementsAre(HasSubstr("4 frames of " + clips + "/four.mp4 for 7 placeholders")));
  EXPECT_THAT(lines(streams, Finding::kPicture), ElementsAre(HasSubstr("none.png")));
}

TEST_F(DatasetChecks, ListWhatIsOddAboutSamplesThatAreUsed) {
  const DatasetCheck result = check(make_source(
      "raw.json",
      {raw("twelve.mp4", {{{"content", "It crosses."}, {"time", 13}},
                          {{"content", "a"}, {"st_time", 5}, {"end_time", 2}},
                          {{"content", "b"}, {"time", "soon"}},
                          {{"content", "c"}, {"st_time", 2}, {"end_time", 4}},
                          {{"content", "d"}, {"time", -1}}}),
       raw("one.mp4", json::array()), raw("one.mp4", {{{"content", "Now."}, {"time", 1}}})}));
  EXPECT_EQ(result.bad_samples, 0u);
  EXPECT_THAT(lines(result, Finding::kOutOfRange),
              ElementsAre("raw.json:0: response[0]: answer \"It crosses.\" at turn 12, the video "
                          "has 12"));
  EXPECT_THAT(lines(result, Finding::kEndBeforeStart),
              ElementsAre("raw.json:0: response[1]: ends at turn 1, before its start at turn 4: no "
                          "standby"));
  EXPECT_THAT(lines(result, Finding::kUnreadableTime), SizeIs(1));
  EXPECT_THAT(lines(result, Finding::kOverwrittenAnswer),
              ElementsAre("raw.json:0: response[3]: takes turn 2 from the answer \"a\""));
  EXPECT_THAT(lines(result, Finding::kNegativeTime), SizeIs(1));
  EXPECT_THAT(lines(result, Finding::kContradiction), SizeIs(1));
  // Of a video of several samples, once.
  EXPECT_THAT(lines(result, Finding::kOnePicture),
              ElementsAre("raw.json:1: " + (folder_ / "clips/one.mp4").string() +
                          ": there is one picture in it"));
  expect_no_more(result, {Finding::kOutOfRange, Finding::kEndBeforeStart, Finding::kUnreadableTime,
                          Finding::kOverwrittenAnswer, Finding::kNegativeTime,
                          Finding::kContradiction, Finding::kOnePicture});
}

TEST_F(DatasetChecks, ListMendedFramesAndTurnsWithoutState) {
  json odd = stream("four.mp4", 5);
  odd["messages"][1]["content"] = "Hello.";
  const DatasetCheck result = check(make_source("stream.json", {odd, stream("four.mp4", 3)}));
  EXPECT_EQ(result.bad_samples, 0u);
  EXPECT_THAT(lines(result, Finding::kMendedFrames),
              ElementsAre("stream.json:0: 4 pictures for 5 placeholders: the last is repeated",
                          "stream.json:1: 4 pictures for 3 placeholders: the last is dropped"));
  EXPECT_THAT(lines(result, Finding::kNoState), SizeIs(1));
  EXPECT_EQ(result.turns_without_state, 1);
  EXPECT_THAT(result.states, ElementsAre(7, 0, 0));
}

TEST_F(DatasetChecks, CountASampleOnceHoweverManyEntriesItHas) {
  const DatasetCheck result = check(make_source(
      "raw.json",
      {raw("four.mp4", {{{"content", "a"}, {"time", 8}}, {{"content", "b"}, {"time", 9}}})}));
  EXPECT_THAT(result.entries(Finding::kOutOfRange), SizeIs(2));
  EXPECT_EQ(result.samples_with[static_cast<size_t>(Finding::kOutOfRange)], 1u);
}

TEST_F(DatasetChecks, AgreeWithTheRun) {
  const SampleSource source =
      make_source("raw.json", {raw("twelve.mp4"), raw("none.mp4"), raw("four.mp4"),
                               raw("strip.mp4"), raw("one.mp4", json::array())});
  for (const Overlong overlong : {Overlong::kSplit, Overlong::kDrop, Overlong::kTruncate}) {
    for (const int64_t max_length : {150, 32768}) {
      const CheckOptions options{
          .chat = &chat(),
          .index = {.max_length = max_length, .overlong = overlong, .num_workers = 3},
          .plan = PlanOptions{.packing = true, .max_length = max_length, .grad_accum_steps = 2}};
      const DatasetCheck result = check(source, options);
      SampleReport report;
      const Index index = build_index(source, chat(), options.index, report);
      std::vector<int64_t> tokens;
      int64_t supervised = 0;
      for (const Item& item : index.items) {
        tokens.push_back(item.tokens);
        supervised += item.supervised;
      }
      EXPECT_EQ(result.tokens_of_item, tokens);
      EXPECT_EQ(result.supervised_tokens, supervised);
      EXPECT_EQ(static_cast<int64_t>(result.bad_samples), report.size());
      EXPECT_EQ(
          std::accumulate(result.turns_of_sample.begin(), result.turns_of_sample.end(), int64_t{0}),
          index.total_frames);
      std::vector<PlanItem> plan_items;
      for (const int64_t length : tokens) plan_items.push_back({.tokens = length});
      Plan plan(plan_items, *options.plan);
      EXPECT_EQ(static_cast<int64_t>(result.tokens_of_step.size()), plan.total_steps());
      EXPECT_EQ(
          std::accumulate(result.tokens_of_step.begin(), result.tokens_of_step.end(), int64_t{0}),
          index.total_tokens);
      const Finding expected = overlong == Overlong::kSplit  ? Finding::kSplit
                               : overlong == Overlong::kDrop ? Finding::kTooLong
                                                             : Finding::kTruncated;
      EXPECT_EQ(static_cast<int64_t>(result.entries(expected).size()), index.overlong_samples);
    }
  }
}

TEST_F(DatasetChecks, CountVisualTokensOfTheItems) {
  const SampleSource source = make_source("raw.json", {raw("twelve.mp4"), raw("four.mp4")});
  // 96x128 -> 84x140 = 3x5 tokens, 128x192 -> 140x196 = 5x7, by the resize rule.
  EXPECT_EQ(check(source).visual_tokens, 12 * 15 + 4 * 35);
  const DatasetCheck cut = check(
      source, {.chat = &chat(), .index = {.max_length = 150, .overlong = Overlong::kTruncate}});
  ASSERT_THAT(cut.turns_of_sample, SizeIs(2));
  EXPECT_LT(cut.turns_of_sample[0], 12);
  EXPECT_EQ(cut.visual_tokens, cut.turns_of_sample[0] * 15 + cut.turns_of_sample[1] * 35);
}

TEST_F(DatasetChecks, CompareTheSetsWithTheFirst) {
  DatasetChecker checker;
  const SampleSource trained =
      make_source("train.json", {raw("twelve.mp4"), raw("four.mp4"), raw("twelve.mp4")});
  const SampleSource held_out = make_source("eval.json", {raw("four.mp4"), raw("one.mp4")});
  const DatasetCheck first = checker.check("train", trained, {});
  const DatasetCheck second = checker.check("eval", held_out, {});
  EXPECT_THAT(lines(first, Finding::kDuplicate), ElementsAre("train.json:2: is train.json:0"));
  EXPECT_THAT(lines(second, Finding::kInTraining), ElementsAre("eval.json:0: is train.json:1"));
  EXPECT_THAT(lines(second, Finding::kDuplicate), IsEmpty());
  EXPECT_EQ(first.videos_in_training, 0u);
  EXPECT_EQ(second.videos, 2u);
  EXPECT_EQ(second.videos_in_training, 1u);
}

TEST_F(DatasetChecks, SayWhatARunWouldStopFor) {
  DatasetCheck result;
  result.samples = 10;
  result.bad_samples = 1;
  EXPECT_EQ(dataset_problem(result, 0.1), std::nullopt);
  result.bad_samples = 2;
  EXPECT_EQ(dataset_problem(result, 0.1),
            "2 of 10 samples cannot be used, more than data.max_bad_fraction = 0.1");
  EXPECT_EQ(dataset_problem(result, 1), std::nullopt);
  result.bad_samples = 10;
  EXPECT_EQ(dataset_problem(result, 1), "no sample can be used");
}

TEST_F(DatasetChecks, HaveKeysThatNeverRepeat) {
  std::set<std::string> keys;
  for (size_t i = 0; i < kNumFindings; ++i) {
    const FindingKind& kind = finding_kind(static_cast<Finding>(i));
    EXPECT_TRUE(keys.insert(kind.key).second) << kind.key;
    EXPECT_STRNE(kind.meaning, "");
  }
}

}  // namespace
}  // namespace streamo::data
