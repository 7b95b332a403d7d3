// The commands that look, copy and make: doctor, config, report, export, inspect, score,
// synthesize. What each prints of sound things, and what it says of things that are wrong: one
// line, the exit code of its kind, and nothing written.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "support/command_folder.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using testing::ContainsRegex;
using testing::HasSubstr;

constexpr int kUsage = 2, kConfig = 10, kData = 11, kModel = 12, kCheckpoint = 13;

class SmallCommands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::CommandFolder>("small-commands");
    const CommandResult run = folder_->streamo(fmt::format(
        "train {0}/configs/example.json data.train={0}/dataset/example/raw_data.json data.eval=[] "
        "eval.every_steps=0 train.max_steps=1 train.num_threads=1 log.every_steps=1 "
        "log.tensorboard=false checkpoint.dir=$PWD/run",
        STREAMO_SOURCE_DIR));
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static CommandResult streamo(const std::string& arguments) { return folder_->streamo(arguments); }
  static void expect_refused(const std::string& arguments, int code, const std::string& said) {
    SCOPED_TRACE(arguments);
    const CommandResult result = streamo(arguments);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_THAT(result.err, HasSubstr(said));
    EXPECT_THAT(result.err, ContainsRegex("(^|\n)error: "));
  }

  static std::unique_ptr<test::CommandFolder> folder_;
};
std::unique_ptr<test::CommandFolder> SmallCommands::folder_;

TEST_F(SmallCommands, DoctorSaysWhatTheMachineHas) {
  const CommandResult result = streamo("doctor");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* line : {"streamo +[0-9]+\\.", "LibTorch +[0-9]+\\.", "FFmpeg +libavcodec [0-9]+",
                           "CPU +[0-9.]+ cores", "memory +[0-9.]+ GiB", "disk here +[0-9.]+ GiB"})
    EXPECT_THAT(result.out, ContainsRegex(line));
}

// ---- config ------------------------------------------------------------------------------------

// Draft 2020-12, as far as our schema uses it. Any other word would need its meaning here.
void expect_valid(const json& value, const json& schema, const std::string& at) {
  SCOPED_TRACE(at);
  for (const auto& [word, _] : schema.items())
    ASSERT_THAT(word,
                testing::AnyOf("type", "properties", "additionalProperties", "items", "enum",
                               "minimum", "maximum", "default", "description", "title", "$schema"));
  const std::map<std::string, bool> is = {
      {"object", value.is_object()}, {"array", value.is_array()},
      {"string", value.is_string()}, {"boolean", value.is_boolean()},
      {"number", value.is_number()}, {"integer", value.is_number_integer()}};
  const json types = schema.at("type").is_array() ? schema["type"] : json::array({schema["type"]});
  ASSERT_TRUE(std::any_of(types.begin(), types.end(),
                          [&](const json& type) { return is.at(type.get<std::string>()); }))
      << value << " is no " << types;
  if (schema.contains("minimum")) EXPECT_GE(value.get<double>(), schema["minimum"].get<double>());
  if (schema.contains("maximum")) EXPECT_LE(value.get<double>(), schema["maximum"].get<double>());
  if (schema.contains("enum")) EXPECT_THAT(schema["enum"], testing::Contains(value));
  if (value.is_array()) {
    for (const json& item : value) expect_valid(item, schema.at("items"), at + "[]");
  }
  if (!value.is_object()) return;
  EXPECT_EQ(schema.at("additionalProperties"), false);
  for (const auto& [key, inner] : value.items())
    expect_valid(inner, schema.at("properties").at(key), at + "." + key);
}

TEST_F(SmallCommands, ConfigPrintsASchemaThatConfigsOfRunsFollow) {
  const CommandResult result = streamo("config --schema");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json schema = json::parse(result.out);
  EXPECT_EQ(schema.at("$schema"), "https://json-schema.org/draft/2020-12/schema");
  const json effective = folder_->read_json("run/config.json");
  expect_valid(effective, schema, "config");
  const auto number_of_keys = [](const json& sections) {
    size_t keys = 0;
    for (const json& section : sections) keys += section.size();
    return keys;
  };
  json properties = json::array();
  for (const json& section : schema.at("properties")) properties.push_back(section["properties"]);
  EXPECT_EQ(number_of_keys(properties), number_of_keys(effective));
}

TEST_F(SmallCommands, ConfigDescribesAKeyASectionOrAll) {
  const std::string one = streamo("config optim.lr").out, section = streamo("config optim").out,
                    all = streamo("config").out;
  EXPECT_THAT(one, ContainsRegex("^optim\\.lr +number"));
  EXPECT_THAT(section, HasSubstr(one));
  EXPECT_THAT(all, HasSubstr(section));
  expect_refused("config optim.rl", kConfig, "optim.lr");
}

// ---- The others --------------------------------------------------------------------------------

TEST_F(SmallCommands, ReportIsMadeAgainFromTheFolder) {
  const std::string page = folder_->read("run/report.html");
  ASSERT_THAT(page, HasSubstr("<html"));
  fs::remove(*folder_ / "run/report.html");
  const CommandResult result = streamo("report run");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "run/report.html\n");
  EXPECT_TRUE(folder_->read("run/report.html") == page);
  fs::create_directory(*folder_ / "empty");
  expect_refused("report empty", kData, "empty");
  expect_refused("report none", kData, "none");
  EXPECT_EQ(streamo("report").exit_code, kUsage);
}

TEST_F(SmallCommands, InspectShowsEachKindAndNamesWhatIsWrong) {
  for (const auto& [path, said] : std::map<std::string, std::string>{
           {"run/checkpoint-1", "checkpoint: complete, all checksums right"},
           {"run/final", "complete and as config.json asks"},
           {"run/final/model.safetensors", " tensors, "}}) {
    const CommandResult result = streamo("inspect " + path);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr(said)) << path;
  }
  const std::string data = fmt::format("{}/dataset/example/raw_data.json", STREAMO_SOURCE_DIR);
  EXPECT_THAT(streamo("inspect --index 1 " + data).out, HasSubstr("<0s-1s>"));
  expect_refused("inspect --index 1000000 " + data, kUsage, "--index takes 0 to ");
  expect_refused("inspect none", kUsage, "none");
  folder_->write("cut.safetensors", "\x10");
  expect_refused("inspect cut.safetensors", kModel, "cut.safetensors");
  folder_->write("cut.mp4", "no video");
  expect_refused("inspect cut.mp4", kData, "cut.mp4");
  folder_->write("cut.json", "[{]");
  expect_refused("inspect cut.json", kData, "cut.json");
  expect_refused("inspect empty-folder-that-is-none", kUsage, "no such file");
}

TEST_F(SmallCommands, ExportRefusesWhatIsNoModel) {
  const CommandResult result = streamo("export run/checkpoint-1 exported");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(folder_->read("exported/model.safetensors") ==
              folder_->read("run/final/model.safetensors"));
  fs::copy(*folder_ / "run/checkpoint-1", *folder_ / "checkpoint-9");
  fs::resize_file(*folder_ / "checkpoint-9/model.safetensors", 1000);
  expect_refused("export checkpoint-9 out", kCheckpoint, "model.safetensors: 1000 bytes, must be ");
  fs::remove(*folder_ / "checkpoint-9/manifest.json");
  expect_refused("export checkpoint-9 out", kCheckpoint, "manifest.json: missing");
  fs::create_directory(*folder_ / "nothing");
  expect_refused("export nothing out", kModel, "config.json");
  EXPECT_FALSE(fs::exists(*folder_ / "out"));
  EXPECT_EQ(streamo("export run/final").exit_code, kUsage);
}

TEST_F(SmallCommands, ScoreNamesWhatItCannotScore) {
  const std::string data = fmt::format("{}/dataset/example/raw_data.json", STREAMO_SOURCE_DIR);
  const std::string model = "score --model run/final --out scored.safetensors ";
  const CommandResult result = streamo(model + "--data " + data);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(streamo("inspect scored.safetensors").out, HasSubstr("input_ids"));
  fs::remove(*folder_ / "scored.safetensors");
  expect_refused("score --model none --out scored.safetensors --data " + data, kModel, "none");
  expect_refused(model + "--data none.json", kData, "none.json");
  expect_refused(model + "--index 1000000 --data " + data, kUsage, "1000000");
  expect_refused(model + "optim.rl=1 --data " + data, kConfig, "optim.lr");
  EXPECT_EQ(streamo(model + "--dtype int8 --data " + data).exit_code, kUsage);
  EXPECT_FALSE(fs::exists(*folder_ / "scored.safetensors"));
}

TEST_F(SmallCommands, SynthesizeMakesTheSameAgainAndRefusesNoClips) {
  const CommandResult result = streamo("synthesize --out made --clips 2 --seed 3");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string annotations = folder_->read("made/raw_data.json");
  EXPECT_GE(json::parse(annotations).size(), 2U);
  EXPECT_EQ(streamo("synthesize --out again --clips 2 --seed 3 --num-workers 1").exit_code, 0);
  EXPECT_TRUE(folder_->read("again/raw_data.json") == annotations);
  EXPECT_TRUE(folder_->read("again/videos/000001.mp4") == folder_->read("made/videos/000001.mp4"));
  for (const char* wrong :
       {"--out x --clips 0", "--out x --clips many", "--clips 2", "--out x --num-workers -1"})
    EXPECT_EQ(streamo(std::string("synthesize ") + wrong).exit_code, kUsage) << wrong;
  EXPECT_FALSE(fs::exists(*folder_ / "x"));
  folder_->write("file", "");
  EXPECT_EQ(streamo("synthesize --out file/below --clips 1").exit_code, 14);
}

}  // namespace
}  // namespace streamo
