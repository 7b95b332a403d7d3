// The commands as a user calls them, on a small random model and clips made here; the annotation
// files are in the published formats.
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "eval/bench/published.h"
#include "support/numbered_clip.h"
#include "support/tiny_model.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using eval::BenchFolder;
using nlohmann::json;
using test::CommandResult;
using test::shell_quote;
using testing::HasSubstr;

class BenchmarkCommand : public BenchFolder {
 protected:
  static void SetUpTestSuite() { test::make_tiny_model(model_folder()); }
  static void TearDownTestSuite() { fs::remove_all(model_folder()); }
  static fs::path model_folder() {
    return fs::path(testing::TempDir()) / ("benchmark-model-" + std::to_string(::getpid()));
  }

  void SetUp() override {
    BenchFolder::SetUp();
    for (const auto& [name, seconds] : {std::pair{"a.mp4", 8}, {"b.mp4", 6}}) {
      test::ClipRecipe recipe;
      recipe.frames = 5 * seconds;
      recipe.rate = "5";
      test::make_clip(folder_ / name, recipe);
    }
    write("ovo.json", eval::ovo_entries());
  }

  CommandResult streamo(const std::string& arguments) const {
    return test::run_in(folder_,
                        "OMP_NUM_THREADS=1 " + shell_quote(STREAMO_BINARY) + " " + arguments);
  }
  CommandResult play(const std::string& arguments) const {
    return streamo("benchmark run ovo.json --videos . --model " +
                   shell_quote((model_folder() / "run/final").string()) + " " + arguments);
  }
  std::vector<json> lines(const std::string& name) const {
    std::vector<json> lines;
    std::ifstream file(folder_ / name);
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }
};

TEST_F(BenchmarkCommand, PlaysScoresAndGoesOn) {
  const CommandResult first = play("--out answers.jsonl --tasks EPM,CRR");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("ovo-bench, official protocol: 3 points"));
  EXPECT_THAT(first.out, HasSubstr("no total: a category has no points"));
  EXPECT_EQ(lines("answers.jsonl").size(), 3u);
  const CommandResult all = play("--out answers.jsonl --json");
  ASSERT_EQ(all.exit_code, 0) << all.err;
  const json result = json::parse(all.out);
  EXPECT_EQ(result.at("points"), 9);
  EXPECT_EQ(result.at("answered_before"), 3);
  EXPECT_EQ(result.at("scores").at(0).at("tasks").at("SSR").at("points"), 3);
  for (const json& line : lines("answers.jsonl")) {
    EXPECT_TRUE(line.at("response").is_string()) << line;
    EXPECT_EQ(line.at("protocol"), "official");
  }
  // Scoring the file by itself gives the same.
  const CommandResult scored = streamo("benchmark score answers.jsonl --json");
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(json::parse(scored.out), result.at("scores"));
}

TEST_F(BenchmarkCommand, StreamoProtocolStandsApart) {
  ASSERT_EQ(play("--out answers.jsonl").exit_code, 0);
  const CommandResult watched = play("--out answers.jsonl --protocol streamo");
  ASSERT_EQ(watched.exit_code, 0) << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("ovo-bench, official protocol: 9 points"));
  EXPECT_THAT(watched.out, HasSubstr("ovo-bench, streamo protocol: 9 points"));
}

TEST_F(BenchmarkCommand, ProactiveStreamingBench) {
  json entries = eval::streaming_proactive();
  entries[0]["video_path"] = "./a.mp4";
  write("questions_proactive.json", entries);
  const CommandResult result =
      streamo("benchmark run questions_proactive.json --videos . --out p.jsonl --model " +
              shell_quote((model_folder() / "run/final").string()));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("PO time"));
}

TEST_F(BenchmarkCommand, MissingVideosAreCountedAndListed) {
  fs::remove(folder_ / "b.mp4");
  const CommandResult result = play("--out answers.jsonl");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("b.mp4: not played (4 of its points)"));
  EXPECT_THAT(result.out, HasSubstr("4 of 9 points are not in these scores"));
  fs::remove(folder_ / "a.mp4");
  const CommandResult none = play("--out other.jsonl");
  EXPECT_EQ(none.exit_code, 11);
  EXPECT_THAT(none.err, HasSubstr("none of the videos can be played"));
}

TEST_F(BenchmarkCommand, WrongFilesAreNamed) {
  write("raw.json", json::parse(R"([{"video_name": "a", "question": [], "response": []}])"));
  const std::string model = shell_quote((model_folder() / "run/final").string());
  const CommandResult wrong =
      streamo("benchmark run raw.json --videos . --out o.jsonl --model " + model);
  EXPECT_EQ(wrong.exit_code, 11);
  EXPECT_THAT(wrong.err, HasSubstr("raw.json: no annotations of a known benchmark"));
  EXPECT_EQ(streamo("benchmark score raw.json").exit_code, 11);
  EXPECT_EQ(play("--out o.jsonl --protocol mine").exit_code, 2);
  EXPECT_EQ(play("--out o.jsonl --tasks EMP").exit_code, 2);
  const CommandResult model_missing =
      streamo("benchmark run ovo.json --videos . --out o.jsonl --model nowhere");
  EXPECT_EQ(model_missing.exit_code, 12);
  EXPECT_THAT(model_missing.err, HasSubstr("nowhere"));
}

TEST_F(BenchmarkCommand, AJudgesVerdictsStandInForTheTexts) {
  ASSERT_EQ(play("--out answers.jsonl --tasks EPM").exit_code, 0);
  write("verdicts.jsonl", std::string("{\"id\": \"7\", \"right\": true}\n"));
  const CommandResult scored =
      streamo("benchmark score answers.jsonl --verdicts verdicts.jsonl --json");
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(json::parse(scored.out).at(0).at("tasks").at("EPM").at("accuracy"), 1.0);
}

}  // namespace
}  // namespace streamo
