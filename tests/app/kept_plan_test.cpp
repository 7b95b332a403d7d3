// A run stays what it began as: whatever becomes of its videos and files between a stop and the
// next start, every other sample comes in the step it was planned for. The truth is the same run
// that was never interrupted; a sample is told by its number of tokens, of which no two are equal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "support/command_folder.h"
#include "support/example_records.h"
#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::TrainProcesses;
using testing::HasSubstr;

constexpr int kSamples = 24;

class KeptPlan : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "data");
    const json few = test::example_record_of_each_video();
    json records = json::array();
    for (int i = 0; i < kSamples; ++i) {
      json record = few[static_cast<size_t>(i) % few.size()];
      const std::string video = fmt::format("{}.mp4", i);
      fs::copy_file(record["video_path"].get<std::string>(), folder_ / "data" / video);
      record["video_path"] = video;
      std::string answer = "word";
      for (int word = 0; word < i; ++word) answer += fmt::format(" {}", word);
      record["response"][0]["content"] = answer;
      records.push_back(record);
    }
    folder_.write_json("data/raw.json", records);
    folder_.write_json(
        "config.json",
        {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
         {"data",
          {{"train", "data/raw.json"},
           {"num_workers", 2},
           {"packing", false},
           {"max_pixels", 3136},
           {"max_bad_fraction", 0.5},
           {"system_prompt", "Watch."}}},
         {"train", {{"micro_batch_size", 1}, {"num_threads", 1}, {"deterministic", true}}},
         {"checkpoint", {{"every_steps", 100}}},
         {"log", {{"every_steps", 1}, {"tensorboard", false}}}});
  }

  CommandResult train(const std::string& run, const std::vector<std::string>& overrides = {},
                      const std::string& fault = "", int ranks = 1) const {
    std::vector<std::string> arguments = {"config.json", "checkpoint.dir=" + run,
                                          fmt::format("train.grad_accum_steps={}", 2 / ranks)};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    return TrainProcesses(
               {.folder = folder_.path(),
                .arguments = arguments,
                .ranks = ranks,
                .own = [=](int) { return fault.empty() ? test::OwnOfRank() : test::fault(fault); }})
        .wait()[0];
  }
  void begin_and_stop(const std::string& run) const {
    const CommandResult stopped = train(run, {}, "train.step:5:term");
    ASSERT_EQ(stopped.exit_code, 20) << stopped.err;
  }

  std::map<int, json> steps(const std::string& run) const {
    std::map<int, json> found;
    for (const json& line : folder_.read_json_lines(run + "/metrics.jsonl"))
      found[line["step"]] = line;
    return found;
  }
  // The samples that are listed as skipped.
  std::set<int> skipped(const std::string& run) const {
    std::set<int> samples;
    for (const json& line : folder_.read_json_lines(run + "/skipped.jsonl")) {
      const std::string id = line["id"];
      samples.insert(std::atoi(id.substr(id.rfind(':') + 1).c_str()));
    }
    return samples;
  }
  int tokens_of(const std::string& run, int sample) const {
    return folder_.read_json_lines(run + "/plan.jsonl").at(static_cast<size_t>(sample))[0][0][4];
  }

  // Some of a few samples, which have so many tokens together.
  std::optional<std::set<int>> with_tokens(const std::set<int>& samples, int tokens) const {
    for (unsigned chosen = 0; chosen < 1U << samples.size(); ++chosen) {
      std::set<int> some;
      int sum = 0, place = 0;
      for (const int sample : samples) {
        if ((chosen >> place++ & 1U) == 0) continue;
        some.insert(sample);
        sum += tokens_of("whole", sample);
      }
      if (sum == tokens) return some;
    }
    return std::nullopt;
  }

  // Every step has the samples of the same step of the run "whole", but for `missing`, whose places
  // are empty: those of them that come after the stop.
  void expect_the_plan(const std::string& run, std::set<int> missing) const {
    const auto whole = steps("whole"), now = steps(run);
    ASSERT_EQ(now.size(), whole.size());
    for (const auto& [step, line] : now) {
      EXPECT_EQ(line["total_steps"], whole.size());
      EXPECT_EQ(line["lr"], whole.at(step)["lr"]) << step;
      const int gap = whole.at(step)["tokens"].get<int>() - line["tokens"].get<int>();
      const auto absent = with_tokens(missing, gap);
      EXPECT_TRUE(absent) << "step " << step << ": " << gap;
      for (const int sample : absent.value_or(std::set<int>())) missing.erase(sample);
    }
    EXPECT_TRUE(missing.empty()) << missing.size();
  }

  const test::CommandFolder folder_{"kept-plan"};
};

// Two videos cannot be read when the run begins, and can later; five the other way round.
TEST_F(KeptPlan, VideosThatVanishOrComeBackChangeNothingElse) {
  for (const char* video : {"7.mp4", "20.mp4"})
    fs::rename(folder_ / "data" / video, folder_ / video);
  ASSERT_EQ(train("whole", {"checkpoint.keep=3"}).exit_code, 0);
  begin_and_stop("stopped");
  for (const char* video : {"7.mp4", "20.mp4"})
    fs::rename(folder_ / video, folder_ / "data" / video);
  const std::set<int> removed = {0, 2, 11, 17, 22};
  for (const int i : removed) fs::remove(folder_ / fmt::format("data/{}.mp4", i));
  for (const int ranks : {1, 2}) {
    const std::string run = fmt::format("on-{}", ranks);
    fs::copy(folder_ / "stopped", folder_ / run, fs::copy_options::recursive);
    const CommandResult result = train(run, {}, "", ranks);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("warning: 5 samples of the plan cannot be read now and will "
                                      "be skipped at their place, for example raw.json:0: "));
    EXPECT_THAT(result.err, HasSubstr("warning: 2 samples that were left out when the run began "
                                      "could be read now, and stay left out, for example "
                                      "raw.json:7"));
    std::set<int> at_their_place;
    for (const int sample : skipped(run))
      if (sample != 7 && sample != 20) at_their_place.insert(sample);
    EXPECT_FALSE(at_their_place.empty());
    for (const int sample : at_their_place) EXPECT_TRUE(removed.contains(sample)) << sample;
    expect_the_plan(run, at_their_place);
  }
}

TEST_F(KeptPlan, MoreThanMayBeMissingIsRefusedBeforeAnyStep) {
  begin_and_stop("run");
  fs::rename(folder_ / "data", folder_ / "away");
  fs::create_directory(folder_ / "data");
  fs::copy(folder_ / "away/raw.json", folder_ / "data/raw.json");
  const CommandResult result = train("run");
  EXPECT_EQ(result.exit_code, 11) << result.err;
  EXPECT_THAT(result.err, HasSubstr("24 of 24 samples cannot be used now"));
  EXPECT_THAT(result.err, HasSubstr("raw.json:0: "));
  EXPECT_EQ(steps("run").size(), 5U);
}

// Folder, file and video names are others; what is in them is the same.
TEST_F(KeptPlan, DataThatMovedAreTheSameData) {
  ASSERT_EQ(train("whole").exit_code, 0);
  begin_and_stop("run");
  fs::create_directories(folder_ / "elsewhere");
  fs::rename(folder_ / "data/raw.json", folder_ / "elsewhere/annotations.json");
  fs::rename(folder_ / "data", folder_ / "videos");
  const CommandResult moved =
      train("run", {"data.train=elsewhere/annotations.json", "data.video_prefix=videos"});
  ASSERT_EQ(moved.exit_code, 0) << moved.err;
  EXPECT_EQ(folder_.read("run/final/model.safetensors"),
            folder_.read("whole/final/model.safetensors"));
}

TEST_F(KeptPlan, OtherContentIsRefusedWithWhatDiffers) {
  begin_and_stop("run");
  const auto refused = [&](const std::string& said) {
    const CommandResult result = train("run");
    EXPECT_EQ(result.exit_code, 10) << result.err;
    EXPECT_THAT(result.err, HasSubstr(said));
  };
  const std::string annotations = folder_.read("data/raw.json");
  json records = folder_.read_json("data/raw.json");
  records[3]["response"][0]["content"] = "Something else.";
  folder_.write_json("data/raw.json", records);
  refused("data.train is not what this run was started with (raw.json: other content)");
  folder_.write("data/raw.json", annotations);
  fs::copy_file(folder_ / "data/4.mp4", folder_ / "data/6.mp4",
                fs::copy_options::overwrite_existing);
  refused("1 samples have other videos than the run began with");
  refused("raw.json:6");
}

// What is lost of the plan is made again where that gives the same, and is refused elsewhere.
TEST_F(KeptPlan, APlanThatIsLostOrDamaged) {
  ASSERT_EQ(train("whole").exit_code, 0);
  begin_and_stop("run");
  const std::string plan = folder_.read("run/plan.jsonl");
  ASSERT_FALSE(plan.empty());
  fs::remove(folder_ / "run/plan.jsonl");
  fs::rename(folder_ / "data/3.mp4", folder_ / "3.mp4");
  const CommandResult lost = train("run");
  EXPECT_EQ(lost.exit_code, 13) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("the plan of the run is lost"));
  folder_.write("run/plan.jsonl", plan.substr(0, plan.size() - 60));
  const CommandResult damaged = train("run");
  EXPECT_EQ(damaged.exit_code, 13) << damaged.err;
  EXPECT_THAT(damaged.err, HasSubstr("not the plan that the checkpoint was made with"));
  fs::remove(folder_ / "run/plan.jsonl");
  fs::rename(folder_ / "3.mp4", folder_ / "data/3.mp4");
  const CommandResult again = train("run");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(folder_.read("run/plan.jsonl"), plan);
  EXPECT_EQ(folder_.read("run/final/model.safetensors"),
            folder_.read("whole/final/model.safetensors"));
}

}  // namespace
}  // namespace streamo
