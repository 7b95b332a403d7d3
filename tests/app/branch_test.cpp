// A run that goes on from a checkpoint that is named: it becomes a branch of it, and nothing of
// what was there before is lost. And what lies in a run folder that no run has written there, under
// whatever name, stays as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
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
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Branch : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write_json("raw.json", test::example_record_of_each_video());
    folder_.write_json(
        "config.json",
        {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
         {"data",
          {{"train", "raw.json"},
           {"eval", "raw.json"},
           {"num_workers", 1},
           {"packing", false},
           {"max_pixels", 3136},
           {"system_prompt", "Watch."}}},
         {"eval", {{"every_steps", 4}, {"max_samples", 1}, {"teacher_forced", true}}},
         {"train", {{"max_steps", 8}, {"micro_batch_size", 1}, {"num_threads", 1}}},
         {"checkpoint", {{"every_steps", 2}, {"keep", 10}}},
         {"log", {{"every_steps", 1}, {"tensorboard", false}}}});
  }

  CommandResult train(const std::string& run, const std::vector<std::string>& overrides = {},
                      const std::string& fault = "", int ranks = 1) const {
    std::vector<std::string> arguments = {"config.json", "checkpoint.dir=" + run};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    return TrainProcesses(
               {.folder = folder_.path(),
                .arguments = arguments,
                .ranks = ranks,
                .own = [=](int) { return fault.empty() ? test::OwnOfRank() : test::fault(fault); }})
        .wait()[0];
  }
  void expect_done(const CommandResult& result, const std::string& said = "") const {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr(said));
  }

  // The steps of training of metrics.jsonl, as they stand there.
  std::vector<int> logged(const std::string& run) const {
    std::vector<int> steps;
    for (const json& line : folder_.read_json_lines(run + "/metrics.jsonl"))
      if (line.contains("loss")) steps.push_back(line["step"]);
    return steps;
  }
  std::set<std::string> checkpoints(const std::string& run) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / run))
      if (const std::string name = entry.path().filename(); name.starts_with("checkpoint-"))
        names.insert(name);
    return names;
  }
  // Every file below a folder, by its path in it.
  static std::map<std::string, std::string> content(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_regular_file())
        files[fs::relative(entry.path(), folder)] = TrainProcesses::read(entry.path());
    return files;
  }

  const test::CommandFolder folder_{"branch"};
};

TEST_F(Branch, OfAnEarlierCheckpoint) {
  expect_done(train("run"));
  const auto whole = content(folder_ / "run");
  const std::vector<std::string> named = {"checkpoint.resume=run/checkpoint-4"};
  const CommandResult stopped = train("run", named, "train.step:1:term");
  EXPECT_EQ(stopped.exit_code, 20) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("checkpoint-4 (step 4)"));
  EXPECT_THAT(checkpoints("run"), ElementsAre("checkpoint-2", "checkpoint-4", "checkpoint-5"));
  EXPECT_EQ(folder_.read("run/latest"), "checkpoint-5\n");
  EXPECT_THAT(logged("run"), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_FALSE(fs::exists(folder_ / "run/final"));
  // The same command, or auto, knows the branch.
  expect_done(train("run", named, "", 1), "checkpoint-5 (step 5)");
  EXPECT_THAT(logged("run"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(folder_.read("run/final/model.safetensors"), whole.at("final/model.safetensors"))
      << "the same training";
  expect_done(train("run", {}), "finished already");
  // What was set aside is as it was.
  const auto aside = content(folder_ / "run/other-branch-1");
  for (const char* file : {"checkpoint-6/model.safetensors", "checkpoint-8/optimizer.safetensors",
                           "checkpoint-8/manifest.json", "final/model.safetensors", "eval-8.json",
                           "metrics.jsonl", "plan.jsonl"})
    EXPECT_EQ(aside.at(file), whole.at(file)) << file;
  EXPECT_FALSE(aside.contains("checkpoint-4/manifest.json"));
  // Back to the branch before.
  expect_done(train("run", {"checkpoint.resume=run/other-branch-1/checkpoint-6"}),
              "checkpoint-6 (step 6)");
  EXPECT_THAT(logged("run"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(content(folder_ / "run/other-branch-1"), aside);
  EXPECT_TRUE(fs::exists(folder_ / "run/other-branch-2/checkpoint-5"));
}

TEST_F(Branch, OfAnotherRun) {
  expect_done(train("one"));
  const auto one = content(folder_ / "one");
  const std::vector<std::string> named = {"checkpoint.resume=one/checkpoint-4/"};
  const CommandResult killed = train("two", named, "train.step:2:kill");
  EXPECT_EQ(killed.exit_code, 137);
  EXPECT_TRUE(checkpoints("two").empty());
  expect_done(train("two", {}), "one/checkpoint-4 (step 4)");  // nothing of its own was saved yet
  EXPECT_THAT(logged("two"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(content(folder_ / "one"), one);
  EXPECT_EQ(folder_.read("two/final/model.safetensors"), one.at("final/model.safetensors"));
  for (const char* file : {"tokenizer.model", "config.json"})
    EXPECT_EQ(content(folder_ / "two/base")[file], content(folder_ / "one/base")[file]);
}

// Refused before anything is moved.
TEST_F(Branch, WhatCannotBeGoneOnFrom) {
  expect_done(train("run"));
  const auto before = content(folder_ / "run");
  const CommandResult other = train("run", {"checkpoint.resume=run/checkpoint-4", "optim.lr=5e-4"});
  EXPECT_EQ(other.exit_code, 10);
  EXPECT_THAT(other.err, HasSubstr("optim.lr: 1e-05 -> 0.0005"));
  const CommandResult missing = train("run", {"checkpoint.resume=run/checkpoint-5"});
  EXPECT_EQ(missing.exit_code, 13);
  EXPECT_THAT(missing.err, HasSubstr("no such checkpoint"));
  EXPECT_EQ(content(folder_ / "run"), before);
  fs::rename(folder_ / "run/base", folder_ / "kept");
  fs::copy(folder_ / "kept", folder_ / "run/base");
  folder_.write("run/base/tokenizer.model", "of another run");
  const CommandResult tokenizer = train("run");
  EXPECT_NE(tokenizer.exit_code, 0);
  EXPECT_THAT(tokenizer.err, HasSubstr("base/tokenizer.model"));
  fs::remove_all(folder_ / "run/base");
  fs::rename(folder_ / "kept", folder_ / "run/base");
  folder_.write("run/checkpoint-4/model.safetensors", "damaged");
  const CommandResult damaged = train("run", {"checkpoint.resume=run/checkpoint-4"});
  EXPECT_EQ(damaged.exit_code, 13);
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoint-8"));
}

// Made by hand, before the run begins and between its starts.
TEST_F(Branch, WhatTheUserPutIntoTheFolderStays) {
  const std::vector<std::string> keep_one = {"checkpoint.keep=1", "train.max_steps=8"};
  const std::vector<std::string> theirs = {
      "checkpoint-foo",       "checkpoint-7",   "checkpoint-3", "checkpoint-100",
      "damaged-checkpoint-2", "other-branch-1", ".x.tmp-1",     "notes"};
  for (const std::string& name : theirs) {
    fs::create_directories(folder_ / "run" / name);
    folder_.write("run/" + name + "/notes.txt", "of " + name);
  }
  const CommandResult stopped = train("run", keep_one, "train.step:5:term");
  EXPECT_EQ(stopped.exit_code, 20) << stopped.err;
  fs::copy(folder_ / "run/checkpoint-5", folder_ / "run/checkpoint-9",
           fs::copy_options::recursive);  // a backup, under a name of ours
  const auto backup = content(folder_ / "run/checkpoint-9");
  folder_.write("run/checkpoint-5/model.safetensors", "damaged");
  EXPECT_EQ(train("run", keep_one, "train.step:5:term").exit_code, 20);  // from the beginning
  EXPECT_TRUE(fs::exists(folder_ / "run/damaged-checkpoint-5"));
  expect_done(train("run", keep_one));
  EXPECT_EQ(content(folder_ / "run/checkpoint-9"), backup);
  for (const std::string& name : theirs)
    EXPECT_EQ(folder_.read("run/" + name + "/notes.txt"), "of " + name);
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoint-8/manifest.json"));
}

TEST_F(Branch, WhatHasTheNameOfAFileOfTheRunIsNotOverwritten) {
  for (const std::string name : {"config.json", "metrics.jsonl", "final", "best", "base"}) {
    const bool is_file = name.find('.') != std::string::npos;
    fs::create_directories(folder_ / "run" / (is_file ? "" : name));
    const std::string file = "run/" + (is_file ? name : name + "/notes.txt");
    folder_.write(file, "mine");
    const CommandResult refused = train("run");
    EXPECT_EQ(refused.exit_code, 10) << name << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("run/" + name));
    EXPECT_EQ(folder_.read(file), "mine");
    fs::remove_all(folder_ / "run");
  }
}

}  // namespace
}  // namespace streamo
