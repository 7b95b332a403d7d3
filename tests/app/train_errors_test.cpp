// `streamo train` with wrong input, as a user meets it: the exit code of the kind of trouble, one
// message that names the thing and the next step, and nothing half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "support/example_records.h"
#include "support/numbered_clip.h"
#include "support/run_command.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::shell_quote;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

enum ExitCode {  // as the documentation lists them: scripts rely on the numbers
  kDone = 0,
  kUsage = 2,
  kConfig = 10,
  kData = 11,
  kModel = 12,
  kDisk = 14
};

json read_json(const fs::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

class TrainErrors : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("train errors-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    const json records = test::example_record_of_each_video();
    good_ = records.back();
    write("raw.json", records);
    write("config.json",
          json{{"model", {{"preset", "example"}, {"vocab_size", 400}}},
               {"data",
                {{"train", "raw.json"},
                 {"num_workers", 1},
                 {"max_pixels", 6272},
                 {"system_prompt", "Watch."}}},
               {"train", {{"max_steps", 2}, {"micro_batch_size", 1}, {"num_threads", 1}}},
               {"checkpoint", {{"dir", "run"}}},
               {"log", {{"tensorboard", false}}}});
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_ / "run"); }

  static fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static fs::path write(const std::string& name, const json& content) {
    return write(name, content.dump(1) + "\n");
  }

  // In the folder of the test; `environment` as NAME=value.
  static CommandResult streamo(const std::string& arguments, const std::string& environment = "") {
    return test::run_in(folder_, environment + " OMP_NUM_THREADS=1 " + shell_quote(STREAMO_BINARY) +
                                     " " + arguments);
  }
  static CommandResult train(const std::string& overrides, const std::string& environment = "") {
    return streamo("train config.json " + overrides, environment);
  }

  // One line for a person: no dump of the program's insides.
  static void expect_failure(const CommandResult& result, int exit_code,
                             const std::vector<std::string>& names) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(result.err, HasSubstr("error: "));
    for (const std::string& name : names) EXPECT_THAT(result.err, HasSubstr(name));
    for (const char* dump : {"terminate called", "Exception raised from", ".cpp:", "frame #",
                             "[json.exception", "Aborted"}) {
      EXPECT_THAT(result.err, Not(HasSubstr(dump)));
    }
  }

  // What stands in the run folder besides its lock; "" in front of nothing at all.
  static std::vector<std::string> run_files() {
    std::vector<std::string> names;
    if (!fs::exists(folder_ / "run")) return names;
    for (const auto& entry : fs::directory_iterator(folder_ / "run")) {
      if (entry.path().filename() != ".lock") names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::map<std::string, std::string> skipped() {
    std::map<std::string, std::string> reasons;
    std::ifstream file(folder_ / "run/skipped.jsonl");
    for (std::string line; std::getline(file, line);) {
      const json entry = json::parse(line);
      reasons[entry["id"]] = entry["reason"];
    }
    return reasons;
  }

  // The good sample under other videos, which may be missing.
  static json with_video(const fs::path& video) {
    json record = good_;
    record["video_path"] = video.string();
    return record;
  }

  static fs::path folder_;
  static json good_;
};
fs::path TrainErrors::folder_;
json TrainErrors::good_;

TEST_F(TrainErrors, CommandLine) {
  expect_failure(streamo(""), kUsage, {"streamo --help"});
  expect_failure(streamo("trian config.json"), kUsage,
                 {"trian is not a command (did you mean train?)", "streamo --help"});
  expect_failure(streamo("train"), kUsage, {"CONFIG", "streamo --help"});
  expect_failure(train("optim.lr"), kUsage, {"optim.lr", "key=value"});
  EXPECT_THAT(run_files(), IsEmpty());
}

TEST_F(TrainErrors, ConfigFile) {
  expect_failure(streamo("train none.json"), kConfig, {"none.json", "check the path"});
  write("key.json", std::string("{\n  \"model\": {\"preset\": \"example\"},\n"
                                "  \"optim\": {\n    \"learning_rate\": 1,\n"
                                "    \"lr\": \"fast\"}\n}\n"));
  expect_failure(streamo("train key.json"), kConfig,  // both at once
                 {"key.json:4: optim.learning_rate is not a setting",
                  "key.json:5: optim.lr is \"fast\", must be a number", "streamo config"});
  write("near.json", json{{"optim", {{"lrr", 1}}}});
  expect_failure(streamo("train near.json"), kConfig, {"near.json:3: ", "did you mean optim.lr?"});
  write("broken.json", std::string("{\"optim\": \n"));
  expect_failure(streamo("train broken.json"), kConfig,
                 {"not valid JSON", "line 1, column 11", "broken.json"});
  expect_failure(train("model.preset="), kConfig, {"model.path and model.preset"});
  EXPECT_THAT(run_files(), IsEmpty());
}

TEST_F(TrainErrors, Overrides) {
  expect_failure(train("optm.lr=1"), kConfig,
                 {"optm.lr is not a setting", "command line", "did you mean optim.lr?"});
  expect_failure(
      train("train.max_steps=many"), kConfig,
      {"train.max_steps is \"many\", must be a whole number", "streamo config train.max_steps"});
  expect_failure(train("data.overlong=splitt"), kConfig, {"data.overlong", "did you mean split?"});
  expect_failure(train("optim.lr=0 optim.vision_lr=1e-4"), kConfig, {"optim.vision_lr"});
  EXPECT_THAT(run_files(), IsEmpty());
}

// Of which nothing could be learnt, or nothing kept.
TEST_F(TrainErrors, SettingsThatMakeARunPointless) {
  for (const auto& [settings, said] : std::map<std::string, std::string>{
           {"optim.lr=0", "nothing would be learnt"},
           {"optim.betas=[1,1]", "optim.betas"},
           {"optim.betas=[0.9,1]", "optim.betas"},
           {"optim.eps=0", "optim.eps"},
           {"optim.vision_lr=1e-5 model.freeze_vision=true model.freeze_merger=true",
            "vision tower and merger are frozen"},
           {"eval.best_metric=answer_token_f1", "eval.best_metric is set"},
           {"eval.every_steps=2", "data.eval is empty"}})
    expect_failure(train(settings), kConfig, {said});
  expect_failure(train("data.max_length=16"), kData,
                 {"no sample can be used", "longer than data.max_length = 16"});
}

TEST_F(TrainErrors, OddSettingsAreSaid) {
  const CommandResult warm = train("optim.warmup_ratio=1");
  EXPECT_EQ(warm.exit_code, kDone) << warm.err;
  EXPECT_THAT(warm.err, HasSubstr("warning: all 2 steps are warm-up"));
  fs::remove_all(folder_ / "run");
  const CommandResult one = train("train.max_steps=1 train.micro_batch_size=4");
  EXPECT_THAT(one.err, HasSubstr("warning: the data are one step, which is trained at the full"));
  EXPECT_THAT(one.err, HasSubstr("warning: train.micro_batch_size has no effect"));
  std::ifstream metrics(folder_ / "run/metrics.jsonl");
  EXPECT_EQ(json::parse(metrics)["lr"], 1e-5);
}

// Before the first step, and with the file or the video that is at fault.
TEST_F(TrainErrors, HeldOutFile) {
  write("broken.json", std::string("[{\"video_path\": "));
  write("empty.json", std::string("[]"));
  write("gone.json", json{with_video("/nowhere/a.mp4"), with_video("/nowhere/b.mp4")});
  for (const auto& [file, said] :
       std::map<std::string, std::string>{{"none.json", "none.json"},
                                          {"broken.json", "broken.json"},
                                          {"empty.json", "the file has no records"},
                                          {"gone.json", "no held-out sample can be used"}}) {
    expect_failure(train("data.eval=" + file), kData, {said, file.substr(0, file.find('.'))});
    EXPECT_FALSE(fs::exists(folder_ / "run/metrics.jsonl")) << "no step was made";
  }
  write("some.json", json{good_, with_video("/nowhere/a.mp4")});
  const CommandResult some = train("data.eval=some.json eval.teacher_forced=true");
  EXPECT_EQ(some.exit_code, kDone) << some.err;
  EXPECT_THAT(some.err, HasSubstr("warning: 1 of 2 held-out samples cannot be used, for example "
                                  "some.json:1: "));
  std::ifstream listed(folder_ / "run/skipped-eval.jsonl");
  std::set<std::string> ids;  // with those of the starts before
  for (std::string line; std::getline(listed, line);) ids.insert(json::parse(line)["id"]);
  EXPECT_TRUE(ids.contains("some.json:1"));
}

// The file is taken away while the run goes: by then all else is on disk.
TEST_F(TrainErrors, AnEvaluationThatFailsLosesNothing) {
  write("held.json", json{good_});
  const std::string settings = "data.eval=held.json eval.teacher_forced=true ";
  const CommandResult last = train(settings, "STREAMO_FAULT=eval.open:1:eio");
  expect_failure(last, kDisk, {"eval.open"});
  EXPECT_TRUE(fs::exists(folder_ / "run/final/model.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoint-2/manifest.json"));
  const CommandResult again = train(settings);  // makes up for it
  EXPECT_EQ(again.exit_code, kDone) << again.err;
  EXPECT_TRUE(fs::exists(folder_ / "run/eval-2.json"));
  EXPECT_THAT(train(settings).err, HasSubstr("finished already"));
  fs::remove_all(folder_ / "run");
  const CommandResult early =
      train(settings + "eval.every_steps=1", "STREAMO_FAULT=eval.open:1:eio");
  expect_failure(early, kDisk, {"eval.open"});
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoint-1/manifest.json")) << "none was due yet";
}

TEST_F(TrainErrors, AnnotationFile) {
  expect_failure(train("data.train=none.json"), kData, {"none.json", "check the path"});
  write("empty.json", std::string("[]"));
  expect_failure(train("data.train=empty.json"), kData,
                 {"the file has no records", "empty.json", "give a file with samples"});
  write("cut.json", std::string("[{\"video_path\": \"a.mp4\",\n \"resp"));
  expect_failure(train("data.train=cut.json"), kData, {"cut.json"});
  EXPECT_THAT(run_files(), IsEmpty()) << "no base model without data";
}

TEST_F(TrainErrors, ModelDirectory) {
  expect_failure(train("model.preset= model.path=nowhere"), kModel,
                 {"no such model directory", "nowhere", "model.path"});
  fs::create_directories(folder_ / "hollow");
  expect_failure(train("model.preset= model.path=hollow"), kModel,
                 {"tokenizer.model", "/hollow", "copy the tokenizer's files"});
  EXPECT_THAT(run_files(), IsEmpty());
}

TEST_F(TrainErrors, BadSamplesAreListedAndTheRestIsTrainedOn) {
  const fs::path text = write("text.mp4", std::string("this is no video\n"));
  // As a broken download leaves it: the index of an ordinary mp4 stands at its end.
  const fs::path truncated = folder_ / "truncated.mp4";
  test::make_clip(truncated, {.frames = 40, .rate = "5"});
  fs::resize_file(truncated, fs::file_size(truncated) / 2);
  const fs::path sound = folder_ / "sound.mp4";
  test::run_or_throw("ffmpeg -v error -y -f lavfi -i sine=duration=2 -c:a aac " +
                     shell_quote(sound.string()));
  json no_response = good_, odd_times = good_;
  no_response.erase("response");
  odd_times["response"] = json::array({{{"content", "Now."}, {"time", "soon"}}});
  write("mixed.json", json{good_, with_video(text), with_video(truncated), with_video(sound),
                           with_video(folder_ / "missing.mp4"), no_response, odd_times});

  const CommandResult result = train("data.train=mixed.json data.max_bad_fraction=0.9");
  EXPECT_EQ(result.exit_code, kDone) << result.err;
  EXPECT_THAT(result.err, HasSubstr("6 samples skipped"));
  const auto reasons = skipped();
  ASSERT_EQ(reasons.size(), 6u);
  EXPECT_THAT(reasons.at("mixed.json:1"), HasSubstr("text.mp4"));
  EXPECT_THAT(reasons.at("mixed.json:2"), HasSubstr("truncated.mp4"));
  EXPECT_THAT(reasons.at("mixed.json:3"), AllOf(HasSubstr("sound.mp4"), HasSubstr("video")));
  EXPECT_THAT(reasons.at("mixed.json:4"), HasSubstr("missing.mp4"));
  EXPECT_THAT(reasons.at("mixed.json:5"), HasSubstr("response"));
  EXPECT_THAT(reasons.at("mixed.json:6"), HasSubstr("its answer is lost: response[0]: time"));
}

TEST_F(TrainErrors, TooManyBadSamplesStopTheRunUntilTheyAreMended) {
  const fs::path late = folder_ / "late.mp4";
  write("late.json", json{good_, with_video(late), good_});
  expect_failure(train("data.train=late.json"), kData,
                 {"1 of 3 samples cannot be used", "data.max_bad_fraction = 0.1", "late.json:1",
                  "late.mp4", "skipped.jsonl"});
  EXPECT_EQ(skipped().size(), 1u);
  fs::copy_file(good_["video_path"].get<std::string>(), late);
  // Nothing of the failed start is left in the way, not even its base model.
  const CommandResult mended = train("data.train=late.json train.max_steps=1 model.vocab_size=420");
  EXPECT_EQ(mended.exit_code, kDone) << mended.err;
  EXPECT_THAT(mended.err, HasSubstr(" 0 samples skipped"));
  EXPECT_EQ(read_json(folder_ / "run/final/config.json")["vocab_size"], 420);
}

TEST_F(TrainErrors, NothingUsable) {
  write("bad.json", json{with_video("/nowhere/a.mp4"), with_video("/nowhere/b.mp4")});
  expect_failure(train("data.train=bad.json"), kData,
                 {"no sample can be used", "bad.json:0: /nowhere/a.mp4", "data.video_prefix"});
  EXPECT_THAT(run_files(), IsEmpty());
}

TEST_F(TrainErrors, AFolderOfAnotherRun) {
  ASSERT_EQ(train("train.max_steps=1").exit_code, kDone);
  const auto before = run_files();
  expect_failure(train("train.max_steps=1 optim.lr=0.5"), kConfig,
                 {"optim.lr: 1e-05 -> 0.5", "checkpoint-1", "choose another checkpoint.dir"});
  expect_failure(train("train.max_steps=1 checkpoint.resume=none"), kConfig,
                 {"checkpoint.resume is none", "checkpoint.resume=auto"});
  write("other.json", json{good_});
  expect_failure(train("train.max_steps=1 data.train=other.json"), kConfig, {"data.train"});
  EXPECT_EQ(run_files(), before);
  EXPECT_EQ(read_json(folder_ / "run/config.json")["optim"]["lr"], 1e-5) << "the former one's";
  // Settings that do not change what is learnt may differ, and nothing is left to do.
  EXPECT_EQ(train("train.max_steps=1 checkpoint.keep=5").exit_code, kDone);
}

TEST_F(TrainErrors, DiskFullKeepsTheCheckpointBefore) {
  ASSERT_EQ(train("checkpoint.every_steps=1").exit_code, kDone);
  for (const char* later : {"run/checkpoint-2", "run/final"}) fs::remove_all(folder_ / later);
  // The first write of the resumed run is its config.json, the next are checkpoint-2's files.
  const CommandResult full = train("", "STREAMO_FAULT=file.write:4:enospc");
  expect_failure(full, kDisk, {"No space left on device"});
  for (const std::string& name : run_files()) {
    EXPECT_THAT(name, Not(HasSubstr("tmp")));
    EXPECT_NE(name, "checkpoint-2");
    EXPECT_NE(name, "final");
  }
  const CommandResult inspected = streamo("inspect run/checkpoint-1");
  EXPECT_EQ(inspected.exit_code, kDone) << inspected.err;
  EXPECT_THAT(inspected.out, HasSubstr("checkpoint: complete, all checksums right"));
  const CommandResult again = train("");
  EXPECT_EQ(again.exit_code, kDone) << again.err;
  EXPECT_THAT(again.err, HasSubstr("checkpoint-1 (step 1)"));
  EXPECT_TRUE(fs::exists(folder_ / "run/checkpoint-2/manifest.json"));
}

}  // namespace
}  // namespace streamo
