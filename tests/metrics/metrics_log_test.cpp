// Truth: the JSON read back; the lines a resumed run must keep, written out.
#include "metrics/metrics_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/io/file.h"
#include "streamo/core/error.h"
#include "support/file_size_limit.h"

namespace streamo::metrics {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path fresh_folder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / ("metrics_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

StepMetrics example(int64_t step) {
  return {.step = step,
          .total_steps = 900,
          .epoch = 0.5,
          .loss = 0.8312,
          .state_targets = {200, 0, 8},
          .state_hits = {198, 0, 7},
          .lr = 8.7e-4,
          .skipped = 3};
}

std::vector<Json> read_lines(const fs::path& folder) {
  std::ifstream file(folder / "metrics.jsonl");
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

std::vector<int64_t> logged_steps(const std::vector<Json>& lines) {
  std::vector<int64_t> steps;
  for (const Json& line : lines) steps.push_back(line.at("step"));
  return steps;
}

TEST(StepMetrics, JsonHasCountsAndRecallAndNullForWhatHasNoValue) {
  StepMetrics metrics = example(7);
  metrics.grad_norm = std::numeric_limits<double>::infinity();
  const Json json = Json::parse(to_json(metrics).dump());
  EXPECT_EQ(json.at("step"), 7);
  EXPECT_DOUBLE_EQ(json.at("loss"), 0.8312);
  EXPECT_EQ(json.at("states").at("Silence").at("targets"), 200);
  EXPECT_DOUBLE_EQ(json.at("states").at("Response").at("recall"), 7.0 / 8);
  EXPECT_TRUE(json.at("states").at("Standby").at("recall").is_null());
  EXPECT_TRUE(json.at("grad_norm").is_null());
}

TEST(MetricsLog, EachLineIsOnDiskWhenTheCallReturns) {
  const fs::path folder = fresh_folder("append");
  MetricsLog log(folder, 0, /*tensorboard=*/false);
  log.log(example(1));
  EXPECT_EQ(logged_steps(read_lines(folder)), (std::vector<int64_t>{1}));
  log.log_eval(
      1, {{"macro_f1", 0.9}, {"states", {{"Silence", {{"f1", 0.8}}}}}, {"timelines", {1, 2}}});
  const std::vector<Json> lines = read_lines(folder);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1],
            Json::parse(R"({"step":1,"eval":{"macro_f1":0.9,"states":{"Silence":{"f1":0.8}}}})"));
  EXPECT_GE(lines[0].at("train_seconds").get<double>(), 0.0);
}

TEST(MetricsLog, AResumedRunDropsTheStepsItWillRepeat) {
  const fs::path folder = fresh_folder("resume");
  {
    std::ofstream file(folder / "metrics.jsonl");
    file << R"({"step":1,"train_seconds":50.0})"
         << "\n"
         << R"({"step":2,"train_seconds":100.0})"
         << "\n"
         << R"({"step":2,"eval":{"macro_f1":0.5}})"
         << "\n"
         << R"({"step":3,"train_seconds":150.0})"
         << "\n"
         << R"({"step":3,"eval":{}})"
         << "\n"
         << R"({"step":4,"los)";  // killed in the middle of a line
  }
  MetricsLog log(folder, 2, /*tensorboard=*/false);
  log.log(example(3));
  const std::vector<Json> lines = read_lines(folder);
  EXPECT_EQ(logged_steps(lines), (std::vector<int64_t>{1, 2, 2, 3}));
  EXPECT_NEAR(lines[3].at("train_seconds").get<double>(), 100.0,
              10.0);  // goes on from the kept line
}

TEST(MetricsLog, AFreshRunStartsAnEmptyFile) {
  const fs::path folder = fresh_folder("fresh");
  { MetricsLog(folder, 0, false).log(example(1)); }
  const MetricsLog again(folder, 0, false);
  EXPECT_TRUE(read_lines(folder).empty());
}

TEST(MetricsLog, WritesTensorBoardEventsWhenAsked) {
  const fs::path folder = fresh_folder("tensorboard");
  MetricsLog log(folder, 0, /*tensorboard=*/true);
  log.log(example(1));
  log.log_eval(1, {{"states", {{"Silence", {{"f1", 0.8}}}}},
                   {"tasks", {{"grounding", {{"response_f1", 0.7}}}}},
                   {"response_timing", {{"median", nullptr}}}});
  std::string events;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events."))
      events = core::read_file(entry.path());
  }
  EXPECT_NE(events.find("recall/Response"), std::string::npos);
  EXPECT_EQ(events.find("recall/Standby"), std::string::npos);  // no target, no point
  EXPECT_NE(events.find("eval/states/Silence/f1"), std::string::npos);
  EXPECT_NE(events.find("eval/tasks/grounding/response_f1"), std::string::npos);
  EXPECT_EQ(events.find("eval/response_timing/median"), std::string::npos);  // there is none
}

TEST(MetricsLog, AFullDiskIsAWarningAndLeavesWholeLinesAndEvents) {
  const fs::path folder = fresh_folder("full");
  MetricsLog log(folder, 0, /*tensorboard=*/true);
  log.log(example(1));
  std::map<fs::path, std::string> before;
  for (const auto& entry : fs::directory_iterator(folder))
    before[entry.path()] = core::read_file(entry.path());
  {
    const test::FileSizeLimit full(fs::file_size(folder / "metrics.jsonl") + 10);
    log.log(example(2));
    EXPECT_TRUE(log.is_behind());
    for (const auto& [path, content] : before)
      EXPECT_TRUE(core::read_file(path).starts_with(content)) << path;
    EXPECT_EQ(logged_steps(read_lines(folder)), (std::vector<int64_t>{1}));
  }
  log.log(example(3));
  EXPECT_FALSE(log.is_behind());
  EXPECT_EQ(logged_steps(read_lines(folder)), (std::vector<int64_t>{1, 2, 3}));
}

TEST(MetricsLog, AFolderThatCannotBeIsAnError) {
  EXPECT_THROW(MetricsLog("/dev/null/folder", 0, false), core::Error);
}

}  // namespace
}  // namespace streamo::metrics
