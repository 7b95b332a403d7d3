// The frame cache as a user meets it: fill it, train from it, and what happens when it is in the
// way. Losses with and without it must be the same to the last digit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "support/command_folder.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::shell_quote;
using testing::HasSubstr;

class PrepareCommand : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(folder_.streamo("synthesize --out data --clips 6 --seed 5").exit_code, 0);
    const json config = {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                         {"data", {{"train", {"data/raw_data.json"}}, {"packing", false}}},
                         {"train", {{"max_steps", 4}, {"num_threads", 1}}},
                         {"checkpoint", {{"dir", "run"}, {"every_steps", 0}}},
                         {"log", {{"every_steps", 1}, {"tensorboard", false}}}};
    folder_.write_json("config.json", config);
    std::this_thread::sleep_for(std::chrono::milliseconds(3050));  // new clips are not yet trusted
  }

  std::vector<json> losses(const std::string& run) const {
    std::vector<json> losses;
    for (const json& line : folder_.read_json_lines(run + "/metrics.jsonl"))
      losses.push_back(line.at("loss"));
    return losses;
  }

  const test::CommandFolder folder_{"prepare command"};
};

TEST_F(PrepareCommand, FillsTheCacheAndTrainingFromItIsTheSame) {
  const CommandResult unset = folder_.streamo("prepare config.json");
  EXPECT_EQ(unset.exit_code, 10);
  EXPECT_THAT(unset.err, HasSubstr("data.frame_cache is not set"));

  const CommandResult made = folder_.streamo("prepare config.json data.frame_cache=frames");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out,
              HasSubstr("6 videos: 0 were in the cache, 6 made, 0 cannot be used, 0 left"));
  const CommandResult again =
      folder_.streamo("prepare config.json data.frame_cache=frames --num-workers 2");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("6 were in the cache, 0 made"));

  ASSERT_EQ(folder_.streamo("train config.json checkpoint.dir=plain").exit_code, 0);
  ASSERT_EQ(
      folder_.streamo("train config.json checkpoint.dir=cached data.frame_cache=frames").exit_code,
      0);
  ASSERT_EQ(losses("plain").size(), 4u);
  EXPECT_EQ(losses("cached"), losses("plain"));

  // The run looked for the same pictures that were prepared: without one file more.
  const CommandResult files = folder_.run("find frames -name '*.frames' | wc -l");
  EXPECT_EQ(std::stoi(files.out), 6);
}

TEST_F(PrepareCommand, BadVideosAreListedAndCounted) {
  folder_.write("data/videos/000000.mp4", "no video");
  const CommandResult few =
      folder_.streamo("prepare config.json data.frame_cache=frames data.max_bad_fraction=0.5");
  EXPECT_EQ(few.exit_code, 0) << few.err;
  EXPECT_THAT(few.out, HasSubstr("5 made, 1 cannot be used"));
  EXPECT_THAT(few.err, HasSubstr("000000.mp4"));
  const CommandResult many = folder_.streamo("prepare config.json data.frame_cache=frames");
  EXPECT_EQ(many.exit_code, 11) << many.err;
  EXPECT_THAT(many.err, HasSubstr("1 of 6 videos cannot be used"));
}

TEST_F(PrepareCommand, AFolderThatCannotBeMadeStopsBeforeTraining) {
  folder_.write("file", "x");
  for (const char* command : {"train", "prepare"}) {
    const CommandResult refused =
        folder_.streamo(std::string(command) + " config.json data.frame_cache=file");
    EXPECT_EQ(refused.exit_code, 14) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("choose another data.frame_cache"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "run/metrics.jsonl"));
}

TEST_F(PrepareCommand, AFullDiskEndsPreparingButNotTraining) {
  const std::string full =
      "STREAMO_FAULT=frame_cache.write:9:enospc " + shell_quote(STREAMO_BINARY);
  const CommandResult prepared = folder_.run(full + " prepare config.json data.frame_cache=frames");
  EXPECT_EQ(prepared.exit_code, 14) << prepared.err;
  EXPECT_THAT(prepared.err, HasSubstr("the frame cache is not complete"));
  const CommandResult trained = folder_.run(full + " train config.json data.frame_cache=other");
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  const size_t warning = trained.err.find("warning: frame cache");
  ASSERT_NE(warning, std::string::npos) << trained.err;
  EXPECT_EQ(trained.err.find("warning: frame cache", warning + 1), std::string::npos);
}

TEST_F(PrepareCommand, ASignalKeepsWhatIsMadeAndExits20) {
  ASSERT_EQ(folder_.streamo("synthesize --out data --clips 200 --seed 5").exit_code, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(3050));
  const CommandResult stopped =
      folder_.run(shell_quote(STREAMO_BINARY) +
                  " prepare config.json data.frame_cache=frames --num-workers 1 & pid=$!; "
                  "for i in $(seq 1000); do find frames -name '*.frames' 2>/dev/null | grep -q . "
                  "&& break; sleep 0.01; done; kill -INT $pid; wait $pid");
  EXPECT_EQ(stopped.exit_code, 20) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("what was made is kept"));
  const CommandResult rest = folder_.streamo("prepare config.json data.frame_cache=frames");
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.out, testing::Not(HasSubstr(" 0 were in the cache")));
  EXPECT_THAT(rest.out, HasSubstr(" 0 left"));
}

}  // namespace
}  // namespace streamo
