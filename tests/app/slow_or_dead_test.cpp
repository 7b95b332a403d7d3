// Slow is not dead, and dead is not slow: two processes of which one is slow, reads what does not
// get on, is stopped, or hangs outside of the steps. The limits are short; each is waited for by
// what the processes say, not by the clock. CPU, fp32, Gloo.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::fault;
using test::OwnOfRank;
using test::TrainProcesses;
using testing::AllOf;
using testing::HasSubstr;

class SlowOrDead : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    const json config = {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                         {"data",
                          {{"train", STREAMO_SOURCE_DIR "/dataset/example/raw_data.json"},
                           {"packing", false},
                           {"num_workers", 4},
                           {"decode_timeout", 1},
                           {"max_bad_fraction", 1},
                           {"system_prompt", "Speak when it is time."}}},
                         {"train", {{"max_steps", 2}, {"grad_accum_steps", 2}}},
                         {"parallel", {{"timeout", 3}}},
                         {"checkpoint", {{"dir", "run"}, {"every_steps", 1}}},
                         {"log", {{"every_steps", 1}, {"tensorboard", false}}}};
    std::ofstream(folder_ / "config.json") << config.dump(1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Two processes, of which rank `of` has its own.
  TrainProcesses start(int of, const OwnOfRank& own,
                       const std::vector<std::string>& overrides = {}) const {
    std::vector<std::string> arguments = {"config.json"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    return TrainProcesses({.folder = folder_,
                           .arguments = arguments,
                           .ranks = 2,
                           .own = [=](int rank) { return rank == of ? own : OwnOfRank(); },
                           .time_to_follow = std::chrono::seconds(6)});
  }
  static void expect_all_finished(const std::vector<CommandResult>& results) {
    for (const CommandResult& result : results) EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(results[0].err, HasSubstr("finished: 2 steps"));
  }
  static void expect_hang(int rank, const std::string& doing,
                          const std::vector<CommandResult>& results) {
    const CommandResult& other = results[static_cast<size_t>(1 - rank)];
    EXPECT_EQ(other.exit_code, 22) << other.err;
    EXPECT_THAT(other.err, AllOf(HasSubstr(fmt::format("rank {} on ", rank)),
                                 HasSubstr("is still at " + doing)));
  }
  std::string read(const fs::path& file) const { return TrainProcesses::read(folder_ / file); }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / fmt::format("slow-or-dead-{}", ::getpid());
};

// Decoding takes longer than the others' patience, and gets on all the time: a video of hours.
TEST_F(SlowOrDead, AVideoThatTakesLongIsWaitedForAndNamed) {
  auto run = start(1, fault("video.second:1+:delay=250"),
                   {"train.max_steps=1", "data.frame_memory_mb=256"});
  const auto results = run.wait();
  for (const CommandResult& result : results) EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(results[0].err, testing::ContainsRegex("note: waiting for [0-9]+ s: rank 1 on .* is "
                                                     "still at step 1, decoding .*\\.mp4 for "));
  EXPECT_EQ(read("run/skipped.jsonl"), "");
}

// Storage ten times slower than the others', and more, but no read takes as long as the limit.
TEST_F(SlowOrDead, SlowStorageIsNoHang) {
  const auto results = start(1, fault("video.read:1+:delay=200")).wait();
  expect_all_finished(results);
  EXPECT_EQ(read("run/skipped.jsonl"), "");
}

// In training and in the evaluation behind it: every read of one rank hangs for ever.
TEST_F(SlowOrDead, WhatDoesNotGetOnIsABadSampleOfTheRankThatReadsIt) {
  const auto results = start(1, fault("video.read:1+:hang"),
                             {"data.eval=" STREAMO_SOURCE_DIR "/dataset/example/raw_data.json",
                              "eval.max_samples=4", "eval.every_steps=1"})
                           .wait();
  expect_all_finished(results);
  EXPECT_THAT(read("run/skipped.jsonl"), HasSubstr("it did not get on for 1 s and was given up"));
  const json evaluated = json::parse(read("run/eval-1.json"));
  EXPECT_GT(evaluated.at("samples"), 0);
  EXPECT_GT(evaluated.at("skipped"), 0);
}

TEST_F(SlowOrDead, AVideoThatHangsAtTheStartIsABadSample) {
  expect_all_finished(start(0, fault("video.read:1:hang")).wait());
  EXPECT_THAT(read("run/skipped.jsonl"), HasSubstr("it did not get on for 1 s"));
}

TEST_F(SlowOrDead, AStoppedProcessIsNoticed) {
  auto run = start(-1, {}, {"train.max_steps=100000", "checkpoint.every_steps=0"});
  ASSERT_TRUE(run.wait_for("run/metrics.jsonl", "\"step\":2,"));
  ASSERT_TRUE(run.signal(1, SIGSTOP));
  const auto results = run.wait();
  expect_hang(1, "step ", results);
}

// A machine that is suspended for a moment, a debugger: less than the limit is no alarm.
TEST_F(SlowOrDead, AProcessStoppedForAMomentIsWaitedFor) {
  auto run = start(-1, {}, {"train.max_steps=100000", "checkpoint.every_steps=0"});
  ASSERT_TRUE(run.wait_for("run/metrics.jsonl", "\"step\":2,"));
  for (const int rank : {0, 1}) {  // rank 0 holds what they tell each other
    ASSERT_TRUE(run.signal(rank, SIGSTOP));
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    ASSERT_TRUE(run.signal(rank, SIGCONT));
  }
  const std::string lines = read("run/metrics.jsonl");
  const auto steps = std::count(lines.begin(), lines.end(), '\n');
  EXPECT_TRUE(run.wait_for("run/metrics.jsonl", fmt::format("\"step\":{},", steps + 10)));
  ASSERT_TRUE(run.signal(1, SIGTERM));
  for (const CommandResult& result : run.wait()) EXPECT_EQ(result.exit_code, 20) << result.err;
}

TEST_F(SlowOrDead, ASaveThatHangsIsNoticed) {
  const auto results = start(0, fault("checkpoint.save:1:hang")).wait();
  expect_hang(0, "saving after step 2", results);
}

TEST_F(SlowOrDead, AProcessAloneNoticesItsOwnSaveThatHangs) {
  const auto results = TrainProcesses({.folder = folder_,
                                       .arguments = {"config.json"},
                                       .own = [](int) { return fault("checkpoint.save:1:hang"); }})
                           .wait();
  EXPECT_EQ(results[0].exit_code, 22) << results[0].err;
  EXPECT_THAT(results[0].err, HasSubstr("error: saving after step 2: it has made no progress for"));
}

TEST_F(SlowOrDead, AnEvaluationThatHangsIsNoticed) {
  const auto results = start(1, fault("eval.turn:3:hang"),
                             {"data.eval=" STREAMO_SOURCE_DIR "/dataset/example/raw_data.json",
                              "eval.max_samples=4", "eval.every_steps=1"})
                           .wait();
  expect_hang(1, "evaluation after step 1", results);
}

TEST_F(SlowOrDead, AnExportThatHangsIsNoticed) {
  const auto results = start(0, fault("train.export:1:hang")).wait();
  expect_hang(0, "export after step 2", results);
}

TEST_F(SlowOrDead, ARankThatIsSlowInEveryStepIsNamed) {
  const auto results = start(1, fault("train.micro_batch:1+:delay=150"),
                             {"train.max_steps=20", "checkpoint.every_steps=0"})
                           .wait();
  for (const CommandResult& result : results) EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(results[0].err, testing::ContainsRegex("slow: rank 1 on .*, process [0-9]+ needed "));
}

}  // namespace
}  // namespace streamo
