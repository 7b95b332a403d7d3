// A dataset of which one video in twenty is damaged, in twelve ways (R25): each is found with its
// kind, by `check` and by training, the same on one rank, on two and after a stop. Truth: which
// files were damaged. With STREAMO_FULL_FAULTS 1,000 videos, else 240.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <set>

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

class CorruptVideos : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_.emplace("corrupt");
    fs::create_directory(*folder_ / "clips");
    test::make_clip(*folder_ / "good.mp4", {.frames = 15, .rate = "5"});
    ASSERT_EQ(folder_->run("ffmpeg -v error -f lavfi -i sine=d=1 sound.m4a").exit_code, 0);
    const int count = std::getenv("STREAMO_FULL_FAULTS") != nullptr ? 1000 : 240;
    json records = json::array();
    for (int i = 0; i < count; ++i) {
      const bool is_bad = i % 20 == 7;
      const std::string name = fmt::format("clips/{:04}.mp4", i);
      if (is_bad) {
        damage(i / 20 % 12, name);
        bad_.insert(fmt::format("raw.json:{}", i));
      } else {
        fs::create_hard_link(*folder_ / "good.mp4", *folder_ / name);
      }
      records.push_back(
          {{"video_path", name}, {"response", json::array({{{"content", "Now."}, {"time", 2}}})}});
    }
    folder_->write_json("raw.json", records);
    folder_->write_json("config.json", {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                                        {"data", {{"train", {"raw.json"}}, {"packing", false}}},
                                        {"train", {{"max_steps", 4}, {"num_threads", 1}}},
                                        {"checkpoint", {{"every_steps", 2}}}});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static void damage(int kind, const std::string& name) {
    const std::string whole = folder_->read("good.mp4");
    const size_t index = whole.find("moov");
    std::string bytes = whole;
    switch (kind) {
      case 0:
        return;  // missing
      case 1:
        bytes.clear();
        break;
      case 2:
        bytes.resize(whole.size() / 2);
        break;  // its index is lost
      case 3:
        bytes = "<html>404 Not Found</html>";
        break;
      case 4:
        bytes = folder_->read("sound.m4a");
        break;
      case 5:
        bytes.replace(index, 4, "junk");
        break;
      case 6:
        bytes.resize(20);
        break;
      case 7:
        bytes.assign(whole.size(), '\0');
        break;
      case 8:
        bytes = "{\"error\": \"the link has expired\"}\n";
        break;
      case 9:
        fs::create_directory(*folder_ / name);
        return;
      case 10:
        fs::create_symlink("nowhere.mp4", *folder_ / name);
        return;
      default:
        bytes.resize(index);  // all but its index
        break;
    }
    folder_->write(name, bytes);
  }

  static std::set<std::string> skipped(const std::string& run) {
    std::set<std::string> ids;
    for (const json& line : folder_->read_json_lines(run + "/skipped.jsonl"))
      ids.insert(line["id"].get<std::string>());
    return ids;
  }

  static std::optional<test::CommandFolder> folder_;
  static std::set<std::string> bad_;
};
std::optional<test::CommandFolder> CorruptVideos::folder_;
std::set<std::string> CorruptVideos::bad_;

TEST_F(CorruptVideos, AreListedBeforeTraining) {
  const CommandResult result = folder_->streamo("check raw.json --json");
  EXPECT_EQ(result.exit_code, 0) << result.err;  // 5 % are below the limit
  std::set<std::string> found;
  const json report = json::parse(result.out);
  for (const json& entry : report["sets"]["train"]["findings"]["video"]["entries"]) {
    found.insert(entry["id"].get<std::string>());
    EXPECT_THAT(entry["what"].get<std::string>(), HasSubstr("clips/"));
  }
  EXPECT_EQ(found, bad_);
}

TEST_F(CorruptVideos, AreTheSameOnEveryNumberOfRanksAndAfterAStop) {
  const CommandResult stopped =
      folder_->run("STREAMO_FAULT=train.step:3:term " + test::shell_quote(STREAMO_BINARY) +
                   " train config.json checkpoint.dir=alone");
  ASSERT_EQ(stopped.exit_code, 20) << stopped.err;
  EXPECT_EQ(skipped("alone"), bad_);
  const CommandResult resumed = folder_->streamo("train config.json checkpoint.dir=alone");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(skipped("alone"), bad_);
  EXPECT_THAT(resumed.err, HasSubstr(fmt::format("{} samples skipped", bad_.size())));
  for (const CommandResult& rank : TrainProcesses({.folder = folder_->path(),
                                   .arguments = {"config.json", "checkpoint.dir=two"},
                                   .ranks = 2})
                                       .wait())
    ASSERT_EQ(rank.exit_code, 0) << rank.err;
  EXPECT_EQ(skipped("two"), bad_);
}

TEST_F(CorruptVideos, StopTheRunAboveTheLimit) {
  const CommandResult result =
      folder_->streamo("train config.json checkpoint.dir=strict data.max_bad_fraction=0.04");
  EXPECT_EQ(result.exit_code, 11);
  EXPECT_THAT(result.err, HasSubstr("samples cannot be used, more than data.max_bad_fraction"));
  EXPECT_THAT(result.err, HasSubstr(fmt::format("{:>9}  video  ", bad_.size())));
  EXPECT_FALSE(fs::exists(*folder_ / "strict/metrics.jsonl"));
}

}  // namespace
}  // namespace streamo
