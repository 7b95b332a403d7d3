// `streamo check` on a small dataset with one of each kind of problem. Truth: the dataset, which
// was made with just these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "support/command_folder.h"
#include "support/numbered_clip.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using testing::HasSubstr;
using testing::Not;

json event(const char* content, int start, int end) {
  return {{"content", content}, {"st_time", start}, {"end_time", end}};
}
json moment(const char* content, const json& time) {
  return {{"content", content}, {"time", time}};
}
json raw(const std::string& video, const json& responses, int asked = 1) {
  return {{"video_path", video},
          {"question", json::array({{{"content", "When?"}, {"time", asked}}})},
          {"response", responses}};
}

// Every record its own problem: findings by key, and how many samples have each.
const std::map<std::string, int> kBad = {
    {"record", 1}, {"path", 1}, {"video", 6}, {"picture", 1}, {"answers_lost", 2}};
const std::map<std::string, int> kOdd = {
    {"out_of_range", 1},    {"end_before_start", 1},   {"negative_time", 1},
    {"unreadable_time", 1}, {"overwritten_answer", 1}, {"overlapping_events", 1},
    {"early_answer", 1},    {"duplicate", 1},          {"contradiction", 1},
    {"low_rate", 1},        {"long_still", 1},         {"one_picture", 1},
    {"extreme_shape", 2},   {"ends_early", 1}};

class CheckCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::CommandFolder>("check command");
    const fs::path clips = *folder_ / "clips";
    fs::create_directory(clips);
    const auto twelve_seconds = [&](const fs::path& path) {
      test::make_clip(path, {.frames = 24, .rate = "2"});
    };
    for (int i = 0; i < 11; ++i) twelve_seconds(clips / fmt::format("good{}.mp4", i));
    twelve_seconds(*folder_ / "outside.mp4");
    test::make_clip(clips / "slides.mp4", {.frames = 6, .rate = "1/4"});
    test::make_clip(clips / "still.mp4",
                    {.frames = 120,
                     .rate = "10",
                     .encode = "-vf \"select='lt(n,30)+gte(n,90)'\" -fps_mode vfr -c:v libx264"});
    test::make_clip(clips / "one.mp4", {.frames = 1});
    test::make_clip(clips / "wide.mp4", {.size = {96, 640}});
    test::make_clip(clips / "strip.mp4", {.frames = 25, .size = {16, 3360}});
    test::make_clip(*folder_ / "whole.mkv",
                    {.frames = 200, .rate = "10", .encode = "-c:v libx264 -g 10"});
    cut(*folder_ / "whole.mkv", clips / "short.mkv");
    cut(clips / "good0.mp4", clips / "cut.mp4");
    folder_->write("clips/text.mp4", "this is no video\n");
    folder_->write("clips/empty.mp4", "");
    ASSERT_EQ(folder_->run("ffmpeg -v error -f lavfi -i sine=d=2 clips/sound.m4a").exit_code, 0);
    fs::create_directory(clips / "folder.mp4");
    folder_->write_json("raw.json", records());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static void cut(const fs::path& from, const fs::path& to) {
    fs::copy_file(from, to);
    fs::resize_file(to, fs::file_size(from) / 2);
  }

  static json records() {
    const json fine = json::array({moment("Now.", 5)});
    return {
        raw("good0.mp4", fine),
        raw("good1.mp4", json::array({moment("Late.", 40)})),
        raw("good2.mp4", json::array({event("", 8, 4)})),
        raw("good3.mp4", json::array({moment("Early.", -4)})),
        raw("good4.mp4", json::array({moment("When?", "soon")})),
        raw("good5.mp4", json::array({moment("One.", 5), moment("Two.", 5)})),
        raw("good6.mp4", json::array({event("", 2, 6), event("", 4, 9)})),
        raw("good7.mp4", fine, /*asked=*/6),
        raw("good8.mp4", fine),
        raw("good8.mp4", fine),
        raw("good9.mp4", fine),
        raw("good9.mp4", json::array({moment("No, now.", 6)})),
        raw("slides.mp4", json::array()),
        raw("still.mp4", json::array()),
        raw("one.mp4", json::array()),
        raw("wide.mp4", json::array()),
        raw("short.mkv", json::array()),
        // What cannot be used:
        {{"video_path", "good10.mp4"}, {"respons", json::array()}},
        raw("../outside.mp4", fine),
        raw("strip.mp4", fine),
        raw("cut.mp4", fine),
        raw("text.mp4", fine),
        raw("empty.mp4", fine),
        raw("sound.m4a", fine),
        raw("folder.mp4", fine),
        raw("missing.mp4", fine),
    };
  }

  static CommandResult check(const std::string& arguments) {
    return folder_->streamo("check " + arguments);
  }

  static void expect_findings(const json& set, const std::map<std::string, int>& expected) {
    for (const auto& [key, finding] : set["findings"].items()) {
      const auto count = expected.find(key);
      EXPECT_EQ(finding["count"], count == expected.end() ? 0 : count->second)
          << key << " " << finding.dump(1);
      EXPECT_EQ(finding["bad"], kBad.count(key) > 0 || key == "frames" || key == "unsupervised" ||
                                    key == "too_long")
          << key;
    }
  }

  static std::unique_ptr<test::CommandFolder> folder_;
};
std::unique_ptr<test::CommandFolder> CheckCommand::folder_;

TEST_F(CheckCommand, FindsEachProblemOfAFile) {
  const CommandResult result = check("raw.json data.video_prefix=clips --json");
  EXPECT_EQ(result.exit_code, 11);
  EXPECT_THAT(result.err,
              HasSubstr("error: data.train of raw.json: 11 of 26 samples cannot be used, "
                        "more than data.max_bad_fraction = 0.1\n  hint: "));
  const json report = json::parse(result.out);
  EXPECT_EQ(report["input"], "raw.json");
  EXPECT_EQ(report["ok"], false);
  const json& set = report["sets"]["train"];
  std::map<std::string, int> expected = kBad;
  expected.insert(kOdd.begin(), kOdd.end());
  expect_findings(set, expected);
  EXPECT_EQ(set["samples"], 26);
  EXPECT_EQ(set["usable"], 15);
  EXPECT_EQ(set["bad"], 11);
  EXPECT_EQ(set["videos"]["count"], 22);
  EXPECT_EQ(set["videos"]["unreadable"], 6);
  EXPECT_TRUE(set["tokens"].is_null()) << "no model, no tokens";
  const int64_t turns = set["turns"]["total"];
  int64_t states = 0;
  for (const auto& [name, state] : set["states"].items()) states += state["turns"].get<int64_t>();
  EXPECT_EQ(states, turns);
  EXPECT_EQ(set["states"]["Standby"]["turns"], 5 + 6 - 3);  // turns 1 to 5 and 3 to 8
}

TEST_F(CheckCommand, SaysTheSameToPeople) {
  const CommandResult result =
      check("raw.json data.video_prefix=clips data.max_bad_fraction=0.5 --num-workers 1");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, Not(HasSubstr("error")));
  EXPECT_THAT(result.out, HasSubstr("raw.json\n26 samples: 15 can be used, 11 cannot (42 %; a run "
                                    "stops above 50 %)\n"));
  EXPECT_THAT(result.out, HasSubstr("        6  video                the video cannot be read\n"));
  EXPECT_THAT(result.out, HasSubstr("           and 3 more\n"));
  EXPECT_THAT(result.out, HasSubstr("raw.json:9: is raw.json:8\n"));
  EXPECT_THAT(result.out, HasSubstr("slides.mp4: 6 pictures in 24.0 s, for 24 turns\n"));
  for (const auto& [key, count] : kOdd) EXPECT_THAT(result.out, HasSubstr("  " + key + " ")) << key;
}

TEST_F(CheckCommand, TakesWhatIsOutsideWhenAllowed) {
  const CommandResult result =
      check("raw.json data.video_prefix=clips data.allow_outside_prefix=true --json");
  EXPECT_EQ(json::parse(result.out)["sets"]["train"]["findings"]["path"]["count"], 0);
}

TEST_F(CheckCommand, MeasuresAConfigsSetsInTokens) {
  folder_->write_json("train.json", {raw("clips/good0.mp4", json::array({moment("Now.", 5)})),
                                     raw("clips/good1.mp4", json::array({moment("Now.", 7)})),
                                     raw("clips/still.mp4", json::array({moment("Now.", 7)}))});
  folder_->write_json("eval.json", {raw("clips/good1.mp4", json::array({moment("Now.", 7)}))});
  const json config = {
      {"model", {{"preset", "example"}, {"vocab_size", 400}}},
      {"data", {{"train", "train.json"}, {"eval", "eval.json"}, {"packing", false}}},
      {"train", {{"micro_batch_size", 2}}},
      {"checkpoint", {{"dir", "run"}}}};
  folder_->write_json("config.json", config);
  const CommandResult result = check("config.json --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["ok"], true);
  EXPECT_TRUE(report["problem"].is_null());
  const json& train = report["sets"]["train"];
  EXPECT_EQ(train["tokens"]["count"], 3);
  EXPECT_EQ(train["steps"]["per_epoch"], 2);
  EXPECT_EQ(train["steps"]["tokens"]["total"], train["tokens"]["total"]);
  EXPECT_EQ(train["turns"]["total"], 36);
  EXPECT_EQ(report["sets"]["eval"]["findings"]["in_training"]["count"], 1);
  EXPECT_FALSE(fs::exists(*folder_ / "run")) << "nothing is written";

  // What a run does with long samples, and what it then has.
  const int64_t longest = train["tokens"]["max"];
  for (const auto& [overlong, key] : std::map<std::string, std::string>{
           {"split", "split"}, {"drop", "too_long"}, {"truncate", "truncated"}}) {
    const CommandResult cut = check(fmt::format(
        "config.json --json data.max_bad_fraction=1 data.max_length={} data.overlong={}",
        longest - 1, overlong));
    ASSERT_THAT(cut.exit_code, testing::AnyOf(0, 11)) << cut.err;
    EXPECT_GE(json::parse(cut.out)["sets"]["train"]["findings"][key]["count"], 1) << overlong;
  }
}

TEST_F(CheckCommand, TellsAConfigFromAnnotations) {
  const json record = raw("clips/good0.mp4", json::array());
  folder_->write("lines.jsonl", record.dump() + "\n" + record.dump() + "\n");
  EXPECT_THAT(check("lines.jsonl").out, HasSubstr("lines.jsonl\n2 samples, all can be used\n"));
  folder_->write_json("single.json", record);
  EXPECT_THAT(check("single.json").out, HasSubstr("single.json\n1 sample, all can be used\n"));
  folder_->write("config.json", "// mine\n{\"data\": {\"trian\": \"x.json\"}}\n");
  const CommandResult misspelt = check("config.json");
  EXPECT_EQ(misspelt.exit_code, 10);
  EXPECT_THAT(misspelt.err, HasSubstr("data.trian is not a setting, did you mean data.train?"));
  EXPECT_EQ(check("nowhere.json").exit_code, 10);
  folder_->write("broken.json", "[{\"a\": 1,\n {]");
  const CommandResult broken = check("broken.json");
  EXPECT_EQ(broken.exit_code, 11);
  EXPECT_THAT(broken.err, HasSubstr("broken.json, line 2, column 3"));
}

TEST_F(CheckCommand, ReportsASetOfWhichNothingIsLeft) {
  folder_->write_json("none.json", json::array({raw("none.mp4", json::array())}));
  folder_->write_json("config.json",
                      {{"model", {{"preset", "example"}}}, {"data", {{"train", "none.json"}}}});
  for (const char* input : {"none.json data.max_bad_fraction=1", "config.json"}) {
    const CommandResult result = check(input);
    EXPECT_EQ(result.exit_code, 11);
    EXPECT_THAT(result.err, HasSubstr("error: data.train of ")) << input;
    EXPECT_THAT(result.err, HasSubstr(": no sample can be used\n")) << input;
    EXPECT_THAT(result.out, HasSubstr("none.mp4: No such file or directory")) << input;
  }
}

}  // namespace
}  // namespace streamo
