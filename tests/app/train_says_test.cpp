// What `streamo train` says of its data at its start, on one rank and on several, and when it
// stops. Truth: what was written wrong into the annotations, by number and place.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "support/command_folder.h"
#include "support/numbered_clip.h"
#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::TrainProcesses;
using testing::HasSubstr;
using testing::Not;

json at(const std::string& content, const json& time) {
  return {{"content", content}, {"time", time}};
}

class TrainSays : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_.emplace("train-says");
    test::make_clip(*folder_ / "clip.mp4", {.frames = 150});  // 6 s
  }
  static void TearDownTestSuite() { folder_.reset(); }

  // `responses` of each sample.
  static void write(const std::vector<json>& responses) {
    json records = json::array();
    for (const json& of_sample : responses) {
      records.push_back({{"video_path", "clip.mp4"},
                         {"question", json::array({at("When?", 1)})},
                         {"response", of_sample}});
    }
    folder_->write_json("raw.json", records);
    folder_->write_json("config.json", {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                                        {"data", {{"train", {"raw.json"}}, {"packing", false}}},
                                        {"train", {{"max_steps", 1}, {"num_threads", 1}}},
                                        {"checkpoint", {{"dir", "run"}, {"every_steps", 0}}}});
    fs::remove_all(*folder_ / "run");
  }
  static CommandResult train(const std::string& overrides = "") {
    return folder_->streamo("train config.json " + overrides);
  }
  static void expect_stopped(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, 11) << result.err;
    EXPECT_EQ(folder_->read("run/metrics.jsonl"), "") << "before the first step";
  }

  static std::optional<test::CommandFolder> folder_;
};
std::optional<test::CommandFolder> TrainSays::folder_;

const json kFine = json::array({at("Now.", 3)});

TEST_F(TrainSays, TimesThatNobodyCanReadStopTheRun) {
  const json wrong = json::array({at("Now.", "3.0s"), at("Then.", "4.0s")});
  write({wrong, wrong, wrong});
  const CommandResult result = train();
  expect_stopped(result);
  EXPECT_THAT(result.err, HasSubstr("        3  answers_lost         of its answers none is left\n"
                                    "           raw.json:0: all of its 2 answers are lost: "
                                    "response[0]: time \"3.0s\" is not a time"));
  EXPECT_THAT(result.err, HasSubstr("        3  unreadable_time"));
  EXPECT_THAT(result.err, HasSubstr("           and 3 more\n"));
  EXPECT_THAT(result.err, HasSubstr("error: "));
  EXPECT_THAT(result.err, HasSubstr("no sample can be used"));
}

TEST_F(TrainSays, SeveralAnswersInOneSecondStopTheRun) {
  write({json::array({at("One.", 3), at("Two.", 3), at("Three.", "3")})});
  const CommandResult result = train();
  expect_stopped(result);
  EXPECT_THAT(result.err, HasSubstr("overwritten_answer"));
  EXPECT_THAT(result.err,
              HasSubstr("raw.json:0: response[1]: takes turn 2 from the answer \"One.\""));
  EXPECT_THAT(result.err, HasSubstr("error: data.train: 2 of 3 answers are lost, more than "
                                    "data.max_bad_fraction = 0.1\n  hint: "));
  EXPECT_EQ(folder_->streamo("check config.json").exit_code, 11);
  EXPECT_EQ(train("data.max_bad_fraction=0.7").exit_code, 0);
}

// Each kind with its number and its first example, the same on any number of ranks.
TEST_F(TrainSays, WhatIsLostIsCountedByKind) {
  std::vector<json> samples(40, kFine);
  samples[3] = json::array({at("Now.", 3), at("Late.", 40)});
  samples[20] = json::array({at("Late.", 40)});
  samples[21] = json::array({{{"content", "Back."}, {"st_time", 5}, {"end_time", 2}}});
  samples[39] = json::array({at("Now.", 2), at("Never.", "soon")});
  write(samples);
  const CommandResult alone = train();
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  for (const char* said :
       {"        1  answers_lost         of its answers none is left\n"
        "           raw.json:20: its answer is lost: response[0]: answer \"Late.\" at turn 39",
        "        2  out_of_range         beyond the end of the video: left out\n"
        "           raw.json:3: response[1]: answer \"Late.\" at turn 39",
        "        1  end_before_start", "           raw.json:39: response[1]: time \"soon\""})
    EXPECT_THAT(alone.err, HasSubstr(said));
  EXPECT_THAT(folder_->read("run/skipped.jsonl"), HasSubstr("raw.json:20"));
  const auto told = [](const std::string& err) {
    const size_t begin = err.find("the training data");
    return err.substr(begin, err.find("\nrun  ", begin) - begin);
  };
  fs::remove_all(*folder_ / "run");
  const auto ranks =
      TrainProcesses({.folder = folder_->path(), .arguments = {"config.json"}, .ranks = 2}).wait();
  ASSERT_EQ(ranks[0].exit_code, 0) << ranks[0].err;
  EXPECT_EQ(told(ranks[0].err), told(alone.err));
  EXPECT_THAT(ranks[1].err, Not(HasSubstr("the training data")));
}

TEST_F(TrainSays, WhatWouldTeachNothingIsRefused) {
  write({json::array(), json::array()});
  const CommandResult silent = train();
  expect_stopped(silent);
  EXPECT_THAT(silent.err, HasSubstr("error: data.train: no turn has a response"));
  write({kFine, kFine});
  const CommandResult short_windows = train("data.max_length=16");
  expect_stopped(short_windows);
  EXPECT_THAT(short_windows.err,
              HasSubstr("a single turn is longer than data.max_length = 16 tokens"));
  // The answer stands behind what is left of each sample.
  write({json::array({at("Late.", 6)})});
  const CommandResult cut =
      train("data.system_prompt=Watch. data.max_length=60 data.overlong=truncate");
  expect_stopped(cut);
  EXPECT_THAT(cut.err, HasSubstr("no turn has a response"));
}

TEST_F(TrainSays, AHeldOutFileThatIsTrainedOnIsWarnedOf) {
  write({kFine, kFine});
  fs::copy_file(*folder_ / "raw.json", *folder_ / "copy.json",
                fs::copy_options::overwrite_existing);
  const CommandResult result = train("data.eval=copy.json");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("copy.json is in data.train too"));
  EXPECT_THAT(train("checkpoint.dir=other").err, Not(HasSubstr("is in data.train too")));
}

TEST_F(TrainSays, WindowsAreNamedByWhatBoundsThem) {
  write({kFine});
  const CommandResult result = train("data.window_rounds=2");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("1 longer than 32768 tokens or 2 rounds (split)"));
  EXPECT_THAT(result.err, HasSubstr("3 windows of at most 32768 tokens or 2 rounds"));
}

}  // namespace
}  // namespace streamo
