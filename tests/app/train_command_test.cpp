// The commands around a training run as a user calls them: stop and go on, export, evaluate; and
// the same on camera clips that nobody made for this.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "support/command_folder.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::shell_quote;
using testing::HasSubstr;

constexpr const char* kExample = STREAMO_SOURCE_DIR "/dataset/example/raw_data.json";

class TrainCommand : public testing::Test {
 protected:
  void SetUp() override {
    write_config({{"train", {kExample}}, {"eval", {kExample}}, {"packing", false}}, 3);
  }

  void write_config(const json& data, int max_steps) const {
    const json config = {
        {"model", {{"preset", "example"}, {"vocab_size", 400}}},
        {"data", data},
        {"train", {{"max_steps", max_steps}, {"micro_batch_size", 1}, {"num_threads", 1}}},
        {"checkpoint", {{"dir", "run"}, {"every_steps", 2}}},
        {"log", {{"every_steps", 1}}}};
    folder_.write_json("config.json", config);
  }

  // The numbers themselves are compared with transformers' (tests/oracle).
  void expect_scored(const std::string& model) const {
    const std::string command =
        "score --model " + model + " --data " + shell_quote(kExample) + " --out score.safetensors";
    const CommandResult scored = folder_.streamo(command + " --gradients --steps 2 --generate 3");
    ASSERT_EQ(scored.exit_code, 0) << scored.err;
    const std::string file = folder_.read("score.safetensors");
    uint64_t header_bytes = 0;
    ASSERT_GT(file.size(), sizeof(header_bytes));
    std::memcpy(&header_bytes, file.data(), sizeof(header_bytes));
    const json header = json::parse(file.substr(8, header_bytes));
    const int64_t length = header.at("input_ids").at("shape").at(0);
    EXPECT_EQ(header.at("labels").at("shape"), json::array({length}));
    EXPECT_EQ(header.at("position_ids").at("shape"), json::array({3, length}));
    EXPECT_EQ(header.at("token_loss").at("shape"), json::array({length}));
    EXPECT_EQ(header.at("logits").at("shape").at(0), length);
    EXPECT_EQ(header.at("losses").at("shape"), json::array({2}));
    for (const char* name :
         {"image_grid_thw", "pixel_values", "image_embeds", "loss", "grad_norm", "generated_ids",
          "grad.model.norm.weight", "param.model.norm.weight", "grad.visual.merger.mlp.0.bias"}) {
      EXPECT_TRUE(header.contains(name)) << name;
    }
    const CommandResult beyond = folder_.streamo(command + " --index 1000");
    EXPECT_EQ(beyond.exit_code, 2);
    EXPECT_THAT(beyond.err, HasSubstr("there is no sample 1000"));
  }

  const test::CommandFolder folder_{"train command"};
};

TEST_F(TrainCommand, TrainsEvaluatesReportsAndExports) {
  const CommandResult trained = folder_.streamo("train config.json");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("3/3 | loss"));
  for (const char* name : {"config.json", "metrics.jsonl", "report.html", "eval-3.json",
                           "final/model.safetensors", "final/tokenizer.model", "checkpoint-3"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / name)) << name;
  }
  // The weights of an exported checkpoint are those of the run's own export.
  ASSERT_EQ(folder_.streamo("export run/checkpoint-3 exported").exit_code, 0);
  EXPECT_EQ(folder_.read("exported/model.safetensors"),
            folder_.read("run/final/model.safetensors"));
  EXPECT_EQ(folder_.read("exported/streamo.json"), folder_.read("run/final/streamo.json"));

  const CommandResult evaluated = folder_.streamo(
      "eval --model run/final --data " + shell_quote(kExample) + " --json --max-samples 4");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const json result = json::parse(evaluated.out);
  for (const char* key : {"samples", "turns", "states", "macro_f1", "response_timing",
                          "answer_exact_match", "skipped"}) {
    EXPECT_TRUE(result.contains(key)) << key;
  }
  EXPECT_EQ(result["samples"], 4);

  expect_scored("run/final");

  const auto exported_at = fs::last_write_time(folder_ / "run/final/model.safetensors");
  const CommandResult again = folder_.streamo("train config.json");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("finished already"));
  EXPECT_EQ(fs::last_write_time(folder_ / "run/final/model.safetensors"), exported_at);
}

TEST_F(TrainCommand, SigtermSavesExits20AndTheSameCommandGoesOn) {
  write_config({{"train", {kExample}}, {"packing", false}}, 1000);
  const CommandResult stopped =
      folder_.run(shell_quote(STREAMO_BINARY) +
                  " train config.json checkpoint.every_steps=0 & pid=$!; "
                  "for i in $(seq 600); do grep -q step run/metrics.jsonl 2>/dev/null && "
                  "break; sleep 0.1; done; "
                  "kill -TERM $pid; wait $pid");
  EXPECT_EQ(stopped.exit_code, 20) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("stopped by a signal and saved"));
  const size_t steps = folder_.read_json_lines("run/metrics.jsonl").size();
  ASSERT_TRUE(fs::exists(folder_ / "run" / ("checkpoint-" + std::to_string(steps))));

  // The rest is made short by stopping again at once: it must begin behind what was saved.
  const CommandResult resumed = folder_.run(
      shell_quote(STREAMO_BINARY) +
      " train config.json & pid=$!; "
      "for i in $(seq 600); do grep -q '\"step\":" +
      std::to_string(steps + 1) +
      ",' run/metrics.jsonl 2>/dev/null && break; sleep 0.1; done; kill -TERM $pid; wait $pid");
  EXPECT_EQ(resumed.exit_code, 20) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resuming from"));
}

TEST_F(TrainCommand, RealFootageConvertsAndTrains) {
  const std::string clips = STREAMO_SOURCE_DIR "/build/real_clips";
  const CommandResult fetched = test::run_command(
      "bash " STREAMO_SOURCE_DIR "/scripts/fetch_real_clips.sh " + shell_quote(clips));
  if (fetched.exit_code != 0) GTEST_SKIP() << "no network for the clips: " << fetched.err;
  const std::string raw = STREAMO_SOURCE_DIR "/dataset/example/real_raw_data.json";
  const CommandResult converted =
      folder_.streamo("convert to-stream --input " + shell_quote(raw) +
                      " --output stream.json --video-prefix " + shell_quote(clips));
  ASSERT_EQ(converted.exit_code, 0) << converted.err;
  const json stream = folder_.read_json("stream.json");
  const json annotations = json::parse(std::ifstream(raw));
  ASSERT_EQ(stream.size(), annotations.size());
  for (size_t i = 0; i < stream.size(); ++i) {
    // Every annotated answer is said, once, behind the state that lets it be said.
    std::string said;
    for (const json& message : stream[i]["messages"]) {
      if (message["role"] == "assistant") said += message["content"].get<std::string>() + "\n";
    }
    for (const json& response : annotations[i]["response"]) {
      EXPECT_THAT(said, HasSubstr("</Response> " + response["content"].get<std::string>() + "\n"));
    }
  }
  write_config({{"train", {raw}}, {"video_prefix", clips}, {"max_length", 1024}, {"packing", true}},
               3);
  const CommandResult trained = folder_.streamo("train config.json model.vocab_size=600");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("0 skipped"));
}

}  // namespace
}  // namespace streamo
