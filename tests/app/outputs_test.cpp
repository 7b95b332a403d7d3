// No command deletes or writes over what it has not written: each that has an output is given an
// input of its own, and a file of a user. Truth: what was there, byte for byte.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "support/command_folder.h"
#include "support/numbered_clip.h"
#include "support/tiny_model.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using testing::AnyOf;
using testing::HasSubstr;

class Outputs : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_.emplace("outputs");
    test::make_tiny_model(folder_->path(), "checkpoint.every_steps=1");
    test::make_clip(*folder_ / "clip.mp4", {.frames = 75});
    const json record = {{"video_path", "clip.mp4"}, {"response", json::array()}};
    folder_->write_json("raw.json", json::array({record}));
    const json turns = json::array(
        {{{"truth", "Silence"}, {"predicted", "Silence"}, {"probabilities", {0.9, 0.0, 0.1}}},
         {{"truth", "Response"}, {"predicted", "Silence"}, {"probabilities", {0.9, 0.0, 0.1}}}});
    folder_->write_json("eval.json",
                        {{"mode", "streaming"}, {"timelines", {{{"fps", 1}, {"turns", turns}}}}});
    ASSERT_EQ(folder_->streamo("convert to-stream --input raw.json --output stream.json").exit_code,
              0);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  void SetUp() override { ASSERT_TRUE(folder_); }

  // Everything below a folder: contents by name.
  static std::map<std::string, std::string> everything(const std::string& in = ".") {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(*folder_ / in)) {
      const std::string name = entry.path().lexically_relative(folder_->path()).string();
      all[name] = fs::is_regular_file(entry.symlink_status()) ? folder_->read(name) : "";
    }
    return all;
  }

  // The command is refused and nothing has changed.
  static void expect_refused(const std::string& command) {
    const auto before = everything();
    const CommandResult result = folder_->streamo(command);
    EXPECT_EQ(result.exit_code, 2) << command << "\n" << result.err;
    EXPECT_THAT(result.err, HasSubstr("error: ")) << command;
    EXPECT_EQ(everything(), before) << command;
  }
  static void expect_done(const std::string& command) {
    const CommandResult result = folder_->streamo(command);
    EXPECT_EQ(result.exit_code, 0) << command << "\n" << result.err;
  }

  static std::optional<test::CommandFolder> folder_;
};
std::optional<test::CommandFolder> Outputs::folder_;

TEST_F(Outputs, ExportNeverTouchesWhatIsNotAnExport) {
  fs::create_directory(*folder_ / "mine");
  folder_->write("mine/thesis.txt", "years of work");
  folder_->write("file", "text");
  fs::create_directory_symlink("mine", *folder_ / "link");
  const std::string checkpoint = "run/checkpoint-1 ";
  for (const char* out : {"mine", "mine/", "link", "run", "run/.", "file", ".", "run/checkpoint-1",
                          "run/checkpoint-1/", "run/checkpoint-1/out", "run/final/../checkpoint-1"})
    expect_refused("export " + checkpoint + out);
  expect_refused("export run/final run/final");
  expect_refused("export run/final run/final/out");
  expect_done("export " + checkpoint + "exported");
  folder_->write("exported/README.md", "mine");
  expect_done("export " + checkpoint + "exported/");
  EXPECT_EQ(folder_->read("exported/README.md"), "mine");
  EXPECT_TRUE(fs::exists(*folder_ / "exported/config.json"));
  fs::create_directory(*folder_ / "empty");
  expect_done("export " + checkpoint + "empty");
}

TEST_F(Outputs, FilesOfTheUserAndInputsAreRefused) {
  folder_->write("user.json", "{\"a\": 1}\n");
  folder_->write("user.png", "my picture");
  folder_->write("user.html", "<p>my page</p>");
  folder_->write("user.safetensors", "weights");
  folder_->write("user.jsonl", "{\"benchmark\"");
  folder_->write("bench.json", "[]");
  fs::copy_file(*folder_ / "user.jsonl", *folder_ / "no newline");
  folder_->write("no newline", "precious, without a line end");
  fs::create_hard_link(*folder_ / "raw.json", *folder_ / "raw hard.json");
  fs::create_symlink("raw.json", *folder_ / "raw soft.json");
  const std::string convert = "convert to-stream --input raw.json --output ";
  for (const char* out : {"raw.json", "./raw.json", "'raw hard.json'", "'raw soft.json'",
                          "user.json", "clip.mp4", "run"})
    expect_refused(convert + out);
  expect_refused("convert to-image --input stream.json --output stream.json --frame-dir frames");
  expect_refused("frames clip.mp4 --sheet clip.mp4");
  expect_refused("frames clip.mp4 --sheet user.png");
  const std::string model = "--model run/final ";
  for (const char* out : {"raw.json", "user.safetensors", "run/final/model.safetensors"})
    expect_refused("score --data raw.json " + model + "--out " + out);
  for (const char* out : {"raw.json", "user.json", "run/config.json"})
    expect_refused("eval --data raw.json " + model + "--out " + out);
  for (const char* out : {"eval.json", "user.html"})
    expect_refused(std::string("thresholds eval.json --html ") + out);
  for (const char* out : {"clip.mp4", "user.html"})
    expect_refused("watch --video clip.mp4 " + model + "--html " + out);
  for (const char* out : {"bench.json", "'no newline'", "user.json"})
    expect_refused("benchmark run bench.json --videos . " + model + "--out " + out);
}

TEST_F(Outputs, WhatTheCommandWroteIsReplaced) {
  const std::vector<std::string> commands = {
      "convert to-stream --input raw.json --output again.json",
      "convert to-image --input stream.json --output images.json --frame-dir pictures",
      "frames clip.mp4 --sheet sheet.png --out shown",
      "score --model run/final --data raw.json --out score.safetensors",
      "eval --model run/final --data raw.json --out result.json",
      "thresholds eval.json --html thresholds.html",
      "watch --model run/final --video clip.mp4 --html watched.html"};
  for (const std::string& command : commands) {
    expect_done(command);
    expect_done(command);
  }
  // Of the right kind, but what the command reads.
  expect_refused("frames sheet.png --sheet sheet.png");
  expect_refused("frames shown/000000.png --out shown");
  expect_refused("thresholds result.json --html result.json");
  expect_refused("convert to-image --input again.json --output again.json --frame-dir pictures");
  // Pictures of the user in the folder of a video.
  fs::create_directories(*folder_ / "own/clip");
  folder_->write("own/clip/000001.png", "drawn by hand");
  const CommandResult result =
      folder_->streamo("convert to-image --input stream.json --output own.json --frame-dir own");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(folder_->read("own/clip/000001.png"), "drawn by hand");
}

TEST_F(Outputs, SynthesizeTakesNewEmptyAndItsOwnFolders) {
  fs::create_directories(*folder_ / "data/videos");
  folder_->write("data/raw_data.json", "[]");
  folder_->write("data/videos/000000.mp4", "a video of the user's");
  expect_refused("synthesize --clips 1 --out data");
  expect_refused("synthesize --clips 1 --out raw.json");
  expect_done("synthesize --clips 1 --out made");
  expect_done("synthesize --clips 1 --seed 2 --out made");
  // One that was killed is made anew.
  const CommandResult killed =
      folder_->run("STREAMO_FAULT=file.rename:2:kill " + test::shell_quote(STREAMO_BINARY) +
                   " synthesize --clips 1 --out broken");
  EXPECT_EQ(killed.exit_code, 137);
  expect_done("synthesize --clips 1 --out broken");
}

// R23: a loop of links leads nowhere.
TEST_F(Outputs, ALoopOfLinksIsRefused) {
  fs::create_symlink("loop", *folder_ / "loop");
  expect_refused("convert to-stream --input raw.json --output loop");
  expect_refused("convert to-stream --input raw.json --output loop/below.json");
  expect_refused("export run/final loop");
  EXPECT_EQ(folder_->streamo("train config.json checkpoint.dir=loop").exit_code, 14);
}

// Said before the first step, not at the end of the training.
TEST_F(Outputs, ARunLeavesTheUsersFoldersOfItsNamesAlone) {
  for (const char* name : {"base", "best", "final"}) {
    const std::string run = std::string("own-") + name;
    fs::create_directories(*folder_ / run / name);
    folder_->write(run + "/" + name + "/notes.txt", "mine");
    const CommandResult result = folder_->streamo("train config.json checkpoint.dir=" + run);
    EXPECT_EQ(result.exit_code, 10) << result.err;
    EXPECT_THAT(result.err, HasSubstr(run + "/" + name));
    EXPECT_EQ(folder_->read(run + "/" + name + "/notes.txt"), "mine");
    EXPECT_FALSE(fs::exists(*folder_ / run / "metrics.jsonl"));
  }
  for (const char* name : {"report.html", "metrics.jsonl", "skipped.jsonl", "config.json", "latest",
                           "eval-1.json", "skipped-eval.jsonl", "nonfinite_step.json"}) {
    const std::string run = std::string("own-") + name;
    fs::create_directory(*folder_ / run);
    folder_->write(run + "/" + name, "my own");
    EXPECT_EQ(folder_->streamo("train config.json checkpoint.dir=" + run).exit_code, 10) << name;
    EXPECT_EQ(folder_->read(run + "/" + name), "my own");
  }
  // The config itself lies where the run would keep its own.
  const std::string config = folder_->read("config.json");
  EXPECT_EQ(folder_->streamo("train config.json checkpoint.dir=.").exit_code, 10);
  EXPECT_EQ(folder_->read("config.json"), config);
}

}  // namespace
}  // namespace streamo
