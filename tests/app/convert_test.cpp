// `streamo convert` and the Python script as users call them: exit codes, messages, files. What is
// converted to what is checked in tests/data/convert_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "support/command_folder.h"
#include "support/numbered_clip.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::shell_quote;
using testing::HasSubstr;
using testing::StartsWith;

class ConvertCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::CommandFolder>("convert command");
    fs::create_directory(*folder_ / "clips");
    test::make_clip(*folder_ / "clips/four.mp4", {.frames = 20, .rate = "5"});
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static CommandResult convert(const std::string& arguments) {
    return folder_->streamo("convert " + arguments);
  }
  static CommandResult script(const std::string& arguments,
                              const std::string& binary = STREAMO_BINARY) {
    return folder_->run("STREAMO_BINARY=" + shell_quote(binary) + " python3 " +
                        shell_quote(STREAMO_SOURCE_DIR "/scripts/convert_streaming_video.py") +
                        " " + arguments);
  }

  static std::unique_ptr<test::CommandFolder> folder_;
};
std::unique_ptr<test::CommandFolder> ConvertCommand::folder_;

constexpr char kRaw[] = R"([{"video_name": "four", "video_path": "four.mp4",
  "question": [{"content": "What?", "time": 2}], "response": [{"content": "This.", "time": 3}]}])";

TEST_F(ConvertCommand, GoesToStreamAndOnToImages) {
  folder_->write("raw.json", kRaw);
  CommandResult result = convert(
      "to-stream --input raw.json --output stream.json --video-prefix clips --fps 1.0 "
      "--system-prompt 'Watch.' --num-workers 2");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("converted 1 of 1 samples, 4 turns: stream.json"));
  EXPECT_EQ(folder_->read_json("stream.json"), json::parse(R"([{"messages": [
      {"role": "system", "content": "Watch."},
      {"role": "user", "content": "What?\n<0s-1s>\n<stream>"},
      {"role": "assistant", "content": "</Silence>"},
      {"role": "user", "content": "What?\n<1s-2s>\n<stream>"},
      {"role": "assistant", "content": "</Silence>"},
      {"role": "user", "content": "<2s-3s>\n<stream>"},
      {"role": "assistant", "content": "</Response> This."},
      {"role": "user", "content": "<3s-4s>\n<stream>"},
      {"role": "assistant", "content": "</Silence>"}],
      "videos": ["clips/four.mp4"], "video_name": "four"}])"));
  EXPECT_EQ(folder_->read_json("stream.json.report.json")["skipped"], json::array());

  result = convert(
      "to-image --input stream.json --output images.json --frame-dir frames --max-frames 3");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("truncated 1"));
  EXPECT_EQ(folder_->read_json("images.json")[0]["images"],
            json({"frames/four/000000.png", "frames/four/000001.png", "frames/four/000002.png"}));
  EXPECT_TRUE(fs::exists(*folder_ / "frames/four/000002.png"));
}

TEST_F(ConvertCommand, SaysWhatWasSkipped) {
  json records = json::parse(kRaw);
  records.push_back(records[0]);
  records[1]["video_path"] = "none.mp4";
  folder_->write_json("raw.json", records);
  const CommandResult result =
      convert("to-stream --input raw.json --output some.json --video-prefix clips");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("warning: skipped raw.json:1: "));
  EXPECT_THAT(result.err, HasSubstr("converted 1 of 2 samples"));
  EXPECT_THAT(result.err, HasSubstr("some.json.report.json"));
  EXPECT_EQ(folder_->read_json("some.json.report.json")["skipped"].size(), 1u);
}

TEST_F(ConvertCommand, FailsWithTheCodeOfTheReason) {
  folder_->write("raw.json", kRaw);
  folder_->write("broken.json", "[{\"a\": 1,\n {]");
  struct Case {
    std::string arguments;
    int exit_code;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"to-stream --input raw.json --output no.json", 11, "no sample could be converted"},
      {"to-stream --input none.json --output no.json", 11, "none.json"},
      {"to-stream --input broken.json --output no.json", 11, "broken.json, line 2, column 3"},
      {"to-stream --input raw.json --video-prefix clips --output /proc/no.json", 14, "/proc"},
      {"to-stream --output no.json", 2, "--input"},
      {"to-stream --input raw.json --output no.json --fps 0", 2, "--fps"},
      {"to-stream --input raw.json --output no.json --speed 2", 2, "--speed"},
      {"to-image --input raw.json --output no.json", 2, "--frame-dir"},
      {"to-image --input raw.json --output no.json --frame-dir f --max-frames 0", 2,
       "--max-frames"},
      {"to-image --input raw.json --output no.json --frame-dir f", 11, "no sample"},
      {"sideways", 2, ""},
  };
  for (const Case& c : cases) {
    const CommandResult result = convert(c.arguments);
    EXPECT_EQ(result.exit_code, c.exit_code) << c.arguments << "\n" << result.err;
    EXPECT_THAT(result.err, HasSubstr("error: ")) << c.arguments;
    EXPECT_THAT(result.err, HasSubstr(c.message)) << c.arguments;
    EXPECT_FALSE(fs::exists(*folder_ / "no.json")) << c.arguments;
  }
}

TEST_F(ConvertCommand, HelpsEachDirection) {
  const CommandResult to_stream = convert("to-stream --help");
  EXPECT_EQ(to_stream.exit_code, 0);
  for (const char* flag :
       {"--input", "--output", "--video-prefix", "--fps", "--system-prompt", "--num-workers"}) {
    EXPECT_THAT(to_stream.out, HasSubstr(flag));
  }
  const CommandResult to_image = convert("to-image --help");
  for (const char* flag :
       {"--input", "--output", "--frame-dir", "--fps", "--max-frames", "--num-workers"}) {
    EXPECT_THAT(to_image.out, HasSubstr(flag));
  }
}

TEST_F(ConvertCommand, IsCalledByTheScript) {
  if (test::run_command("python3 --version").exit_code != 0) GTEST_SKIP() << "no python3";
  folder_->write("raw.json", kRaw);
  CommandResult result = script(
      "to-stream --input raw.json --output by_script.json --video-prefix clips --fps 2 "
      "--system-prompt '--- watch' --num-workers 1");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json record = folder_->read_json("by_script.json")[0];
  EXPECT_EQ(record["messages"][0]["content"], "--- watch");
  EXPECT_THAT(record["messages"][3]["content"].get<std::string>(), HasSubstr("<0.5s-1s>"));
  result = script(
      "to-image --input by_script.json --output i.json --frame-dir f --fps 2 --max-frames 2");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(folder_->read_json("i.json")[0]["images"].size(), 2u);
  EXPECT_EQ(script("to-stream --input none.json --output x.json").exit_code, 11);
  EXPECT_EQ(script("to-stream --output x.json").exit_code, 2);
  const CommandResult not_built = script("to-stream --input a --output b", "/nowhere/streamo");
  EXPECT_EQ(not_built.exit_code, 1);
  EXPECT_THAT(not_built.err,
              StartsWith("error: /nowhere/streamo: the program is not built\n  hint: "));
}

}  // namespace
}  // namespace streamo
