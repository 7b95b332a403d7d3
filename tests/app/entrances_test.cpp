// What comes from outside, at each command that takes it: hostile JSON, URLs in annotations,
// control tokens in text, numbers that nobody means. An exit code of the documentation and one
// message each, in a moment; never a signal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "support/command_folder.h"
#include "support/http_file_server.h"
#include "support/numbered_clip.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using testing::HasSubstr;
using testing::Not;

class Entrances : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::CommandFolder>("entrances");
    test::make_clip(*folder_ / "a.mp4", {.frames = 20, .rate = "5"});
    folder_->write_json("raw.json", json::array({record("a.mp4")}));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static json record(const std::string& video) {
    return {{"video_path", video},
            {"question", {{{"content", "What?"}, {"time", 1}}}},
            {"response", {{{"content", "This."}, {"time", 2}}}}};
  }
  static json config() {
    return {{"model", {{"preset", "example"}}},
            {"data", {{"train", "raw.json"}}},
            {"checkpoint", {{"dir", "run"}}}};
  }

  static CommandResult expect_exit(const std::string& arguments, int exit_code,
                                   const std::string& message) {
    const CommandResult result = folder_->streamo(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << arguments << "\n" << result.err;
    EXPECT_THAT(result.err + result.out, HasSubstr(message)) << arguments;
    EXPECT_LT(result.err.size(), 4000u) << arguments;
    return result;
  }

  static std::unique_ptr<test::CommandFolder> folder_;
};
std::unique_ptr<test::CommandFolder> Entrances::folder_;

TEST_F(Entrances, NestedJsonEndsNoCommand) {
  const std::string deep(1'000'000, '[');
  folder_->write("deep.json", deep);
  folder_->write("deep_record.json", "[{\"video_path\": " + deep);
  folder_->write("deep_config.json", "{\"data\": {\"train\": " + deep);
  fs::create_directories(*folder_ / "model");
  fs::create_directories(*folder_ / "finished");
  folder_->write("model/config.json", "{\"a\": " + deep);
  folder_->write("finished/config.json", deep);
  folder_->write("finished/eval-7.json", deep);
  folder_->write("finished/metrics.jsonl", deep);
  fs::create_directories(*folder_ / "checkpoint-7");
  folder_->write("checkpoint-7/manifest.json", deep);
  expect_exit("train deep_config.json", 10, "nested deeper than 128");
  expect_exit("check deep_config.json", 10, "nested deeper than 128");
  expect_exit("check deep_record.json", 11, "nested deeper than 128");
  expect_exit("convert to-stream --input deep_record.json --output no.json", 11, "deep_record");
  expect_exit("benchmark score deep.json", 11, "nested deeper than 128");
  expect_exit("thresholds deep.json", 11, "nested deeper than 128");
  expect_exit("report finished", 11, "nothing of a run");
  expect_exit("export model out", 12, "nested deeper than 128");
  expect_exit("export checkpoint-7 out", 13, "nested deeper than 128");
  expect_exit("watch --model model --video a.mp4", 12, "model");
}

TEST_F(Entrances, NamesAreBoundedAndReadingIsLinear) {
  const auto start = std::chrono::steady_clock::now();
  folder_->write("key.json", "[{\"" + std::string(8 << 20, 'k') + "\": 1}]");
  expect_exit("check key.json", 11, "a key of 8388608 bytes");
  std::string objects = "[{\"video_path\": [{}";
  for (int i = 0; i < 500'000; ++i) objects += ",{}";
  folder_->write("objects.json", objects + "]}]");
  expect_exit("check objects.json", 11, "objects.json");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(Entrances, AnnotationsFetchNothing) {
  const test::HttpFileServer server(*folder_ / "a.mp4", test::HttpFileServer::Manner::kGood);
  const std::string host = fmt::format("127.0.0.1:{}", server.port());
  folder_->write_json("url.json",
                      json::array({record("http://me:secret@" + host + "/a.mp4?token=hidden")}));
  folder_->write_json("url_config.json", [] {
    json of_url = config();
    of_url["data"]["train"] = "url.json";
    return of_url;
  }());
  for (const char* command :
       {"check url.json", "check ./url.json", "inspect url.json", "check url_config.json",
        "convert to-stream --input url.json --output no.json"}) {
    const CommandResult result = folder_->streamo(command);
    EXPECT_THAT(result.out + result.err, HasSubstr("http://***@" + host + "/a.mp4?*** is a URL"))
        << command;
    EXPECT_THAT(result.out + result.err, Not(HasSubstr("secret"))) << command;
    EXPECT_THAT(result.out + result.err, Not(HasSubstr("hidden"))) << command;
  }
  EXPECT_EQ(server.requests(), 0);
  // The user's own prefix may be one.
  folder_->streamo(
      "convert to-stream --input raw.json --output fetched.json --video-prefix http://" + host +
      "/videos");
  EXPECT_GT(server.requests(), 0);
  EXPECT_EQ(folder_->read_json("fetched.json")[0]["videos"][0], "http://" + host + "/videos/a.mp4");
}

TEST_F(Entrances, TextHoldsNoTokens) {
  expect_exit(
      "convert to-stream --input raw.json --output no.json --system-prompt 'Look: <stream>'", 2,
      "holds <stream>");
  json of_prompt = config();
  of_prompt["data"]["system_prompt"] = "Each second you get one <image>.";
  folder_->write_json("prompt.json", of_prompt);
  for (const char* command : {"train prompt.json", "check prompt.json", "prepare prompt.json"}) {
    expect_exit(command, 10, "data.system_prompt holds <image>");
  }
  folder_->write_json("config.json", config());
  expect_exit("train config.json 'data.default_question=Is it <|im_start|>?'", 10,
              "data.default_question holds <|im_start|>");
}

TEST_F(Entrances, NumbersAreBounded) {
  for (const char* arguments :
       {"synthesize --out no --clips 1e30",
        "synthesize --out no --clips nan",
        "synthesize --out no --clips 0",
        "synthesize --out no --seed -1",
        "synthesize --out no --seed 18446744073709551615",
        "inspect raw.json --index -1",
        "inspect raw.json --index 1.5",
        "frames a.mp4 --fps nan",
        "frames a.mp4 --fps 1e-400",
        "frames a.mp4 --max-pixels 9e18",
        "frames a.mp4 --min-pixels -3",
        "convert to-stream --input raw.json --output no.json --fps inf",
        "convert to-stream --input raw.json --output no.json --num-workers 1e9",
        "convert to-image --input raw.json --output no.json --frame-dir f --max-frames 1e30",
        "check raw.json --num-workers 0",
        "check raw.json --num-workers 4294967297",
        "thresholds raw.json --false-alarms nan",
        "thresholds raw.json --tolerance -1",
        "plan config.json --gpus 0",
        "plan config.json --gpu-memory nan",
        "eval --model x --max-samples -1",
        "watch --model x --video a.mp4 --top-p nan",
        "watch --model x --video a.mp4 --temperature 1e300",
        "watch --model x --video a.mp4 --max-answer-tokens 9e18",
        "watch --model x --video a.mp4 --overlap -1",
        "watch --model x --video a.mp4 --sinks 1e30",
        "score --model x --data raw.json --out o --index -1",
        "score --model x --data raw.json --out o --steps 1e30"}) {
    const CommandResult result = expect_exit(arguments, 2, "error: ");
    EXPECT_THAT(result.err, HasSubstr("number of")) << arguments;
  }
  expect_exit("inspect raw.json --index 0.0", 0, "What?");
}

}  // namespace
}  // namespace streamo
