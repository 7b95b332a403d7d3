// `streamo inspect` of what a user has: annotations whose videos lie elsewhere, checkpoints that
// are damaged; and files with the mark that Windows editors put before UTF-8. Truth: the exit codes
// of README.md and what the same file says without damage or mark.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "support/command_folder.h"
#include "support/numbered_clip.h"
#include "support/tiny_model.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using testing::HasSubstr;

const std::string kMark = "\xEF\xBB\xBF";

class InspectCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_.emplace("inspect");
    test::make_tiny_model(folder_->path(), "checkpoint.every_steps=1");
    fs::create_directory(*folder_ / "clips");
    test::make_clip(*folder_ / "clips/clip.mp4", {.frames = 75});
    const json answers = json::array({{{"content", "Now."}, {"time", 2}}});
    folder_->write_json("raw.json", {{"video_path", "clip.mp4"}, {"response", answers}});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::optional<test::CommandFolder> folder_;
};
std::optional<test::CommandFolder> InspectCommand::folder_;

TEST_F(InspectCommand, FindsVideosInTheFolderItIsGiven) {
  EXPECT_EQ(folder_->streamo("inspect raw.json").exit_code, 11);
  const CommandResult result = folder_->streamo("inspect raw.json --video-prefix clips");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("video clips/clip.mp4\n"));
  folder_->write_json("outside.json",
                      {{"video_path", "../clips/clip.mp4"}, {"response", json::array()}});
  fs::create_directory(*folder_ / "other");
  EXPECT_EQ(folder_->streamo("inspect outside.json --video-prefix other").exit_code, 11);
  EXPECT_EQ(folder_->streamo("inspect outside.json --video-prefix other --allow-outside-prefix")
                .exit_code,
            0);
}

TEST_F(InspectCommand, ADamagedCheckpointIsSaidInTheExitCode) {
  const CommandResult sound = folder_->streamo("inspect run/checkpoint-1");
  EXPECT_EQ(sound.exit_code, 0) << sound.err;
  EXPECT_THAT(sound.out, HasSubstr("complete, all checksums right"));
  for (const char* file : {"trainer_state.json", "manifest.json", "model.safetensors"}) {
    fs::remove_all(*folder_ / "damaged");
    fs::create_directory(*folder_ / "damaged");
    fs::copy(*folder_ / "run/checkpoint-1", *folder_ / "damaged/checkpoint-1",
             fs::copy_options::recursive);
    fs::resize_file(*folder_ / "damaged/checkpoint-1" / file, 5);
    const CommandResult damaged = folder_->streamo("inspect damaged/checkpoint-1/");
    EXPECT_EQ(damaged.exit_code, 13) << file << damaged.err;
    EXPECT_THAT(damaged.err, HasSubstr("error: damaged/checkpoint-1")) << file;
    fs::remove(*folder_ / "damaged/checkpoint-1" / file);
    EXPECT_EQ(folder_->streamo("inspect damaged/checkpoint-1").exit_code, 13) << file;
  }
}

TEST_F(InspectCommand, EveryReaderTakesAByteOrderMark) {
  folder_->write("marked config.json", kMark + folder_->read("config.json"));
  folder_->write("marked raw.json", kMark + folder_->read("raw.json"));
  EXPECT_EQ(folder_->streamo("check 'marked config.json' --json").exit_code, 0);
  const CommandResult trained =
      folder_->streamo("train 'marked config.json' checkpoint.dir=marked-run");
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(folder_->streamo("inspect 'marked raw.json' --video-prefix clips").exit_code, 0);
  EXPECT_EQ(folder_->streamo("check 'marked raw.json' data.video_prefix=clips").exit_code, 0);
  // A model directory whose JSON files went through such an editor.
  fs::copy(*folder_ / "run/final", *folder_ / "marked model");
  for (const auto& entry : fs::directory_iterator(*folder_ / "marked model")) {
    if (entry.path().extension() != ".json") continue;
    const std::string name = "marked model/" + entry.path().filename().string();
    folder_->write(name, kMark + folder_->read(name));
  }
  const CommandResult inspected = folder_->streamo("inspect 'marked model'");
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
  const CommandResult evaluated = folder_->streamo(
      "eval --model 'marked model' --data 'marked raw.json' --video-prefix clips --out eval.json");
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  folder_->write("marked eval.json", kMark + folder_->read("eval.json"));
  EXPECT_EQ(folder_->streamo("thresholds 'marked eval.json'").exit_code, 0);
}

TEST_F(InspectCommand, ASectionIsNoSetting) {
  const json config = json::parse(folder_->read("config.json"));
  for (const char* section :
       {"model", "data", "loss", "optim", "train", "parallel", "checkpoint", "log", "eval"}) {
    json wrong = config;
    wrong[section] = "example";
    folder_->write_json("wrong.json", wrong);
    const std::string said = std::string(section) + " is a section";
    for (const CommandResult& result :
         {folder_->streamo("train wrong.json"),
          folder_->streamo(std::string("train config.json ") + section + "=example")}) {
      EXPECT_EQ(result.exit_code, 10);
      EXPECT_THAT(result.err, HasSubstr(said));
      EXPECT_LT(result.err.size(), 250u) << result.err;
    }
  }
}

}  // namespace
}  // namespace streamo
