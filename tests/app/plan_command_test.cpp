// `streamo plan` on the example. Truth: what a run of the same config says of its data, and sizes
// counted by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "support/run_command.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using test::shell_quote;
using testing::HasSubstr;

constexpr const char* kConfig = STREAMO_SOURCE_DIR "/configs/example.json";
const std::string kData = "data.train=" STREAMO_SOURCE_DIR "/dataset/example/raw_data.json";

CommandResult streamo(const std::string& arguments) {
  return test::run_command(shell_quote(STREAMO_BINARY) + " " + arguments);
}

std::string found(const std::string& text, const std::string& pattern) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? match[1].str() : "not found";
}

TEST(PlanCommand, SaysOfTheDataWhatTheRunSays) {
  const fs::path run =
      fs::path(testing::TempDir()) / ("plan-command-" + std::to_string(::getpid()));
  const std::string settings =
      std::string(kConfig) + " " + kData + " data.eval=[] eval.every_steps=0 train.max_steps=1";
  const CommandResult plan = streamo("plan " + settings);
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const CommandResult trained = streamo("train " + settings + " checkpoint.dir=" + run.string());
  fs::remove_all(run);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(found(plan.out, "epoch +(\\d+) tokens"), found(trained.err, "items, (\\d+) tokens"));
  EXPECT_EQ(found(plan.out, "of (\\d+) pictures"), found(trained.err, "(\\d+) frames"));
  EXPECT_EQ(found(plan.out, "data +(\\d+) samples"), found(trained.err, "data +(\\d+) samples"));
}

TEST(PlanCommand, WhatDoesNotFitIsAnError) {
  const CommandResult plan =
      streamo(std::string("plan ") + kConfig + " " + kData + " --gpus 4 --gpu-memory 0.02");
  EXPECT_EQ(plan.exit_code, 15);
  EXPECT_THAT(plan.err, HasSubstr("the run does not fit"));
  EXPECT_THAT(plan.err, HasSubstr("parallel.shard=optimizer"));
  EXPECT_THAT(plan.out, HasSubstr("peak while computing"));
  EXPECT_EQ(streamo(std::string("plan ") + kConfig + " --gpus 0").exit_code, 2);
}

}  // namespace
}  // namespace streamo
