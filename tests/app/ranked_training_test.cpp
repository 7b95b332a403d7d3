// One run on several processes: the same result on any number of them, and what happens when one
// of them ends, stands still, is stopped, or was started for another run. CPU, fp32, Gloo.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::fault;
using test::OwnOfRank;
using test::TrainProcesses;
using testing::HasSubstr;

constexpr const char* kExample = STREAMO_SOURCE_DIR "/dataset/example/raw_data.json";
constexpr int kMicroBatches = 4;  // of a step, of all ranks

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class RankedTraining : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    write_config(kExample);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write_config(const fs::path& annotations) const {
    const json config = {
        {"model", {{"preset", "example"}, {"vocab_size", 400}}},
        {"data",
         {{"train", annotations},
          {"packing", false},
          {"num_workers", 1},
          {"system_prompt", "Speak when it is time."}}},
        {"optim", {{"lr", 1e-3}}},
        {"train", {{"max_steps", 4}, {"micro_batch_size", 1}, {"deterministic", true}}},
        {"checkpoint", {{"every_steps", 2}, {"keep", 10}}},
        {"log", {{"every_steps", 1}, {"tensorboard", false}}}};
    std::ofstream(folder_ / "config.json") << config.dump(1);
  }

  // A run of `ranks` processes in its folder, `micro_batches` a step.
  std::vector<CommandResult> run(
      int ranks, const std::string& name, const std::string& overrides = "",
      const std::function<OwnOfRank(int)>& own = [](int) { return OwnOfRank(); },
      int micro_batches = kMicroBatches) const {
    std::vector<std::string> arguments = {
        "config.json", "checkpoint.dir=" + name,
        fmt::format("train.grad_accum_steps={}", micro_batches / ranks)};
    std::istringstream words(overrides);
    arguments.insert(arguments.end(), std::istream_iterator<std::string>(words), {});
    return TrainProcesses({.folder = folder_, .arguments = arguments, .ranks = ranks, .own = own})
        .wait();
  }
  static void expect_all(const std::vector<CommandResult>& results, int exit_code) {
    for (size_t rank = 0; rank < results.size(); ++rank)
      EXPECT_EQ(results[rank].exit_code, exit_code) << "rank " << rank << ": " << results[rank].err;
  }

  std::map<int, std::pair<double, double>> losses(const std::string& name) const {
    std::map<int, std::pair<double, double>> found;  // with the gradient's norm
    std::ifstream lines(folder_ / name / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);) {
      const json entry = json::parse(line);
      if (entry.contains("loss")) found[entry["step"]] = {entry["loss"], entry["grad_norm"]};
    }
    return found;
  }
  void expect_same_run(const std::string& one, const std::string& other) const {
    EXPECT_FALSE(losses(one).empty());
    EXPECT_EQ(losses(one), losses(other));
    for (const char* file : {"final/model.safetensors", "checkpoint-4/optimizer.safetensors"}) {
      const std::string bytes = read(folder_ / one / file);
      EXPECT_FALSE(bytes.empty());
      EXPECT_TRUE(bytes == read(folder_ / other / file)) << other << "/" << file;
    }
  }
  // `own` on the rank `of`, nothing on the others.
  static std::function<OwnOfRank(int)> only(int of, const OwnOfRank& own) {
    return [=](int rank) { return rank == of ? own : OwnOfRank(); };
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / fmt::format("ranked-training-{}", ::getpid());
};

struct Case {
  const char* name;
  const char* overrides;
};

class SameResult : public RankedTraining, public testing::WithParamInterface<Case> {};

TEST_P(SameResult, OnOneTwoAndFourRanks) {  // bit for bit
  for (const int ranks : {1, 2, 4})
    expect_all(run(ranks, std::to_string(ranks), GetParam().overrides), 0);
  expect_same_run("1", "2");
  expect_same_run("1", "4");
}

INSTANTIATE_TEST_SUITE_P(
    All, SameResult,
    testing::Values(
        Case{"Plain", ""}, Case{"Packing", "data.packing=true data.max_length=1500"},
        Case{"WholeStateOnEach", "parallel.shard=none"},
        Case{"BlocksInParts", "parallel.shard=full"},
        Case{"BlocksInPartsAndRecomputed", "parallel.shard=full model.gradient_checkpointing=true"},
        Case{"BlocksInPartsOfFrozenVision", "parallel.shard=full model.freeze_vision=true"},
        Case{"BlocksInPartsOfFrozenLanguage", "parallel.shard=full model.freeze_language=true"},
        Case{"BlocksInPartsOfRanksWithoutWork",
             "parallel.shard=full train.max_steps=0 train.epochs=1"},
        Case{"FrozenVision", "model.freeze_vision=true"},
        Case{"TrainedRowsOnly", "model.freeze_language=true"},
        Case{"RunningCounts", "loss.alpha_scope=running"},
        Case{"Clipped", "optim.clip_grad_norm=0.01"},
        // 29 samples: the last step of an epoch has one micro-batch, three ranks none.
        Case{"RanksWithoutWork", "train.max_steps=0 train.epochs=1 checkpoint.keep=10"}),
    [](const auto& info) { return info.param.name; });

// A video that is there when the run is indexed and cannot be decoded, a sample without an answer
// to learn from (its turns are all silent, so it still has states), and one without pictures.
TEST_F(RankedTraining, ABadSampleIsLeftOutOnAnyNumberOfRanks) {
  json samples = json::parse(read(kExample));
  const fs::path videos = fs::path(kExample).parent_path();
  for (json& sample : samples)
    sample["video_path"] = (videos / sample["video_path"].get<std::string>()).string();
  samples.erase(samples.begin() + 8, samples.end());
  json bad = samples[0];
  bad["video_path"] = (folder_ / "cut.mp4").string();
  samples.push_back(bad);
  const std::string whole = read(samples[1]["video_path"].get<std::string>());
  const size_t pictures = whole.find("mdat") + 4;  // behind the index
  std::ofstream(folder_ / "cut.mp4", std::ios::binary)
      << whole.substr(0, pictures) << std::string(whole.size() - pictures, '\0');
  std::ofstream(folder_ / "raw.json") << samples.dump();
  write_config(folder_ / "raw.json");
  for (const int ranks : {1, 2, 4})
    expect_all(run(ranks, std::to_string(ranks), "data.max_bad_fraction=0.5"), 0);
  expect_same_run("1", "2");
  expect_same_run("1", "4");
  EXPECT_THAT(read(folder_ / "4/skipped.jsonl"), HasSubstr("cut.mp4"));
  EXPECT_EQ(read(folder_ / "4/skipped.jsonl"), read(folder_ / "1/skipped.jsonl"));
}

// In processes of its own: the same run as on threads; a file that crashes its decoder is left out,
// the same on any number of ranks, and no rank ends.
TEST_F(RankedTraining, AFileThatCrashesItsDecoderIsOneBadVideo) {
  expect_all(run(2, "threads"), 0);
  expect_all(run(2, "processes", "data.decoder=process"), 0);
  expect_same_run("threads", "processes");
  const auto crash = [](int) { return fault("decode.000002.mp4:2:segv"); };
  for (const int ranks : {1, 2, 4}) {
    expect_all(
        run(ranks, std::to_string(ranks), "data.decoder=process data.max_bad_fraction=0.9", crash),
        0);
  }
  expect_same_run("1", "2");
  expect_same_run("1", "4");
  EXPECT_THAT(read(folder_ / "4/skipped.jsonl"),
              HasSubstr("000002.mp4: its decoder crashed (SIGSEGV)"));
  EXPECT_EQ(read(folder_ / "4/skipped.jsonl"), read(folder_ / "1/skipped.jsonl"));
}

// Every rank plays a share of the held-out samples. One of them has no video.
TEST_F(RankedTraining, EvaluatesTheSameOnAnyNumberOfRanks) {
  json held_out = json::parse(read(kExample));
  held_out.erase(held_out.begin() + 9, held_out.end());
  for (json& sample : held_out)
    sample["video_path"] =
        fs::path(kExample).parent_path() / sample["video_path"].get<std::string>();
  held_out[4]["video_path"] = "missing.mp4";
  std::ofstream(folder_ / "held_out.json") << held_out;
  const std::string settings =
      "data.eval=held_out.json eval.every_steps=2 eval.max_samples=5 eval.best_metric=macro_f1";
  for (const int ranks : {1, 2, 4}) expect_all(run(ranks, std::to_string(ranks), settings), 0);
  expect_all(run(2, "full", settings + " parallel.shard=full"), 0);
  for (const char* file : {"eval-2.json", "eval-4.json", "best/best.json"}) {
    const std::string alone = read(folder_ / "1" / file);
    ASSERT_FALSE(alone.empty()) << file;
    for (const char* other : {"2", "4", "full"}) EXPECT_EQ(read(folder_ / other / file), alone);
  }
  const json last = json::parse(read(folder_ / "4" / "eval-4.json"));
  EXPECT_EQ(last.at("samples"), 8);
  EXPECT_EQ(last.at("timelines").size(), 8u);
  EXPECT_EQ(last.at("skipped"), 1);
}

// Assignment by cost, sums in the order they come: equal to rounding after 20 steps, fp32.
TEST_F(RankedTraining, BalancedRanksAgreeToRounding) {
  const std::string overrides = "train.deterministic=false train.max_steps=20 optim.lr=1e-4";
  expect_all(run(1, "1", overrides), 0);
  const auto one = losses("1");
  ASSERT_EQ(one.size(), 20U);
  for (const std::string shard : {"none", "optimizer", "full"}) {
    expect_all(run(4, shard, overrides + " parallel.shard=" + shard), 0);
    const auto four = losses(shard);
    ASSERT_EQ(four.size(), 20U);
    for (const auto& [step, value] : one)
      EXPECT_NEAR(four.at(step).first, value.first, 1e-6 * value.first) << shard << " " << step;
  }
}

// Two groups of two ranks, and four of one.
TEST_F(RankedTraining, GroupsOfRanksHaveTheSameResult) {
  expect_all(run(1, "1"), 0);
  for (const std::string sharding :
       {"optimizer parallel.shard_group_size=2", "optimizer parallel.shard_group_size=1",
        "full parallel.shard_group_size=2"}) {
    expect_all(run(4, "4", "parallel.shard=" + sharding), 0);
    expect_same_run("1", "4");
    fs::remove_all(folder_ / "4");
  }
  const auto refused = run(4, "3", "parallel.shard_group_size=3");
  expect_all(refused, 10);
  EXPECT_THAT(refused[0].err, HasSubstr("4 ranks cannot be divided into groups of 3"));
}

TEST_F(RankedTraining, GoesOnWithAnotherNumberOfRanks) {
  expect_all(run(2, "whole"), 0);
  for (const auto& [ranks, shard] : std::vector<std::pair<int, std::string>>{
           {1, "none"}, {4, "none"}, {4, "optimizer"}, {4, "full"}}) {
    const std::string name = fmt::format("on-{}-{}", ranks, shard);
    fs::create_directories(folder_ / name);
    for (const char* part : {"base", "metrics.jsonl", "checkpoint-2"})
      fs::copy(folder_ / "whole" / part, folder_ / name / part, fs::copy_options::recursive);
    const auto results = run(ranks, name, "parallel.shard=" + shard);
    expect_all(results, 0);
    EXPECT_THAT(results[0].err, HasSubstr("resuming from"));
    expect_same_run("whole", name);
  }
  const auto refused = run(2, "whole", "", only(-1, {}), /*micro_batches=*/8);
  expect_all(refused, 10);
  EXPECT_THAT(refused[0].err, HasSubstr("micro-batches of a step (train.grad_accum_steps x ranks): "
                                        "4 -> 8"));
}

TEST_F(RankedTraining, AKilledRankEndsTheOthersAndTheRunGoesOn) {
  expect_all(run(2, "whole"), 0);
  const auto begin = std::chrono::steady_clock::now();
  const auto killed = run(2, "killed", "", only(1, fault("train.step:4:kill")));
  EXPECT_EQ(killed[1].exit_code, 137);
  EXPECT_EQ(killed[0].exit_code, 21) << killed[0].err;
  EXPECT_THAT(killed[0].err, HasSubstr("rank 1 on "));
  EXPECT_THAT(killed[0].err, HasSubstr("ended without a word, last seen at step 4"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));  // start included
  expect_all(run(2, "killed"), 0);
  expect_same_run("whole", "killed");
}

// In the middle of gathering a block's weights, in the forward or the backward pass.
TEST_F(RankedTraining, AKilledRankEndsTheOthersThatWaitForItsPartOfABlock) {
  const std::string overrides = "parallel.shard=full";
  expect_all(run(2, "whole", overrides), 0);
  const auto killed = run(2, "killed", overrides, only(1, fault("train.micro_batch:6:kill")));
  EXPECT_EQ(killed[1].exit_code, 137);
  EXPECT_EQ(killed[0].exit_code, 21) << killed[0].err;
  EXPECT_THAT(killed[0].err, HasSubstr("ended without a word, last seen at step 3"));
  expect_all(run(2, "killed", "parallel.shard=none"), 0);  // of another kind: the same state
  expect_same_run("whole", "killed");
}

TEST_F(RankedTraining, AStopOfOneRankSavesOnceAndStopsAll) {
  expect_all(run(2, "whole"), 0);
  const auto stopped = run(2, "stopped", "", only(1, fault("train.step:3:term")));
  expect_all(stopped, 20);
  EXPECT_TRUE(fs::exists(folder_ / "stopped/checkpoint-3"));
  expect_all(run(2, "stopped"), 0);
  expect_same_run("whole", "stopped");
}

TEST_F(RankedTraining, ARankThatHangsIsNamed) {
  const auto results = run(2, "hung", "", only(0, fault("train.step:4:hang")));
  EXPECT_EQ(results[1].exit_code, 22) << results[1].err;
  EXPECT_THAT(results[1].err, HasSubstr("rank 0 on "));
  EXPECT_THAT(results[1].err, HasSubstr("is still at step 4"));
  EXPECT_EQ(results[0].exit_code, 21) << results[0].err;  // its watch hears that the other left
}

TEST_F(RankedTraining, RanksOfDifferentRunsAreRefused) {
  const auto results = run(2, "mixed", "", only(1, {.arguments = {"optim.lr=2e-3"}}));
  expect_all(results, 10);
  for (const CommandResult& result : results) {
    EXPECT_THAT(result.err, HasSubstr("rank 1: was started for another run than rank 0"));
    EXPECT_THAT(result.err, HasSubstr("optim.lr: 0.001 -> 0.002"));
  }
}

// One micro-batch of one rank has a loss that is not a number: no rank changes a bit, whether the
// step ends the run or is skipped, however the state is shared.
TEST_F(RankedTraining, RanksOfOtherDataOrAnotherProgramAreRefused) {
  std::ofstream(folder_ / "other.json") << json::parse(read(kExample)).dump(2);
  const auto data = run(2, "mixed", "", only(1, {.arguments = {"data.train=other.json"}}));
  expect_all(data, 10);
  EXPECT_THAT(data[0].err, HasSubstr("the files of data.train"));
  const fs::path changed = folder_ / "streamo";
  fs::copy_file(STREAMO_BINARY, changed);
  std::ofstream(changed, std::ios::app) << "another build";
  const std::string exchange = fmt::format(
      "for word; do [ \"$word\" = '{}' ] && word='{}'; words+=(\"$word\"); done; "
      "exec \"${{words[@]}}\"",
      STREAMO_BINARY, changed.string());
  const auto program = run(2, "mixed", "", only(1, {.prefix = {"bash", "-c", exchange, "bash"}}));
  expect_all(program, 10);
  EXPECT_THAT(program[1].err, HasSubstr("the program streamo"));
}

TEST_F(RankedTraining, WhatIsNotFiniteInOneMicroBatchChangesNothing) {
  const OwnOfRank nan = fault("train.loss:6:nan");  // its second one of step 3
  const std::string each = "checkpoint.every_steps=1 parallel.shard=";
  for (const std::string shard : {"none", "optimizer", "full"}) {
    const std::string stops = "stops-" + shard, skips = "skips-" + shard;
    const auto stopped = run(2, stops, each + shard, only(1, nan));
    expect_all(stopped, 23);
    for (const CommandResult& result : stopped)
      EXPECT_THAT(result.err, HasSubstr("at step 3, the weights were not changed"));
    const json dump = json::parse(read(folder_ / stops / "nonfinite_step.json"));
    EXPECT_EQ(dump["step"], 3);
    ASSERT_EQ(dump["micro_batches"].size(), 4U);
    for (const json& batch : dump["micro_batches"]) {
      EXPECT_EQ(batch["finite_loss"], batch["micro_batch"] != 3);
      EXPECT_EQ(batch["samples"].size(), 1U);
    }
    EXPECT_EQ(dump["micro_batches"][3]["rank"], 1);
    EXPECT_FALSE(fs::exists(folder_ / stops / "checkpoint-3"));
    expect_all(run(2, skips, each + shard + " train.nonfinite=skip", only(1, nan)), 0);
    for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
      const std::string before = read(folder_ / skips / "checkpoint-2" / file);
      EXPECT_FALSE(before.empty());
      EXPECT_TRUE(before == read(folder_ / stops / "checkpoint-2" / file)) << file;
      EXPECT_TRUE(before == read(folder_ / skips / "checkpoint-3" / file)) << file;
      EXPECT_FALSE(before == read(folder_ / skips / "checkpoint-4" / file)) << file;
    }
    expect_all(run(2, stops, each + shard), 0);  // without the fault it goes on
  }
}

// Every step from the third on: the bound of skips ends it, and counts those in a row only.
TEST_F(RankedTraining, SkipsWithoutEndAreAnError) {
  const std::string skip =
      "train.nonfinite=skip train.max_nonfinite_skips=3 train.max_steps=8 checkpoint.every_steps=1";
  const auto ended = run(2, "ended", skip, only(0, fault("train.loss:5+:nan")));
  expect_all(ended, 23);
  for (const CommandResult& result : ended)
    EXPECT_THAT(result.err,
                HasSubstr("at step 6, after train.max_nonfinite_skips = 3 that were skipped"));
  EXPECT_TRUE(read(folder_ / "ended/checkpoint-5/model.safetensors") ==
              read(folder_ / "ended/checkpoint-2/model.safetensors"));
  const auto once = run(2, "once", skip, only(0, fault("train.loss:5:nan")));
  expect_all(once, 0);
}

// An update that is lost although loss and gradient were sound: a rate that takes weights beyond
// the largest float32. What was saved before stays, and nothing of it is saved, best or final.
TEST_F(RankedTraining, WeightsThatAreNotFiniteAreNeverSaved) {
  for (const std::string shard : {"none", "optimizer", "full"}) {
    const std::string name = "lost-" + shard;
    const auto lost = run(2, name,
                          "optim.lr=1e30 optim.weight_decay=1e30 optim.warmup_ratio=0.5 "
                          "train.max_steps=4 checkpoint.every_steps=1 "
                          "checkpoint.keep=1 train.nonfinite=skip parallel.shard=" +
                              shard);
    expect_all(lost, 23);
    for (const CommandResult& result : lost)
      EXPECT_THAT(result.err, HasSubstr("weights are not finite after step 2"));
    EXPECT_TRUE(fs::exists(folder_ / name / "checkpoint-1"));
    EXPECT_FALSE(fs::exists(folder_ / name / "checkpoint-2"));
    EXPECT_FALSE(fs::exists(folder_ / name / "final"));
  }
}

}  // namespace
}  // namespace streamo
