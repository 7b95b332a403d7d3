// Comparing two runs. Truth: the runs, made here with just the differences that must be named.
#include "compare/compare_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "metrics/metrics_log.h"
#include "model/weights/safetensors.h"
#include "streamo/core/error.h"

namespace streamo::compare {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class RunComparisonTest : public testing::Test {
 protected:
  void SetUp() override {
    write_run(a_);
    write_run(b_);
  }
  void TearDown() override { fs::remove_all(root_); }

  static std::map<std::string, torch::Tensor> weights() {
    return {{"w", torch::arange(6, torch::kFloat)}, {"v", torch::full({2, 2}, 4.0)}};
  }

  static void write_metrics(const fs::path& run, int64_t steps, int64_t from = 0,
                            double factor = 1) {
    metrics::MetricsLog log(run, 0, /*tensorboard=*/false);
    for (int64_t step = 1; step <= steps; ++step) {
      const auto number = static_cast<double>(step);
      metrics::StepMetrics metrics{.step = step, .loss = 2 / number, .tokens = 100};
      metrics.state_targets = {5, 1, 1};
      metrics.tokens_per_second = 1000 * factor;  // is never compared
      if (step >= from) metrics.loss *= factor;
      log.log(metrics);
    }
  }

  static void write_checkpoint(const fs::path& folder,
                               const std::map<std::string, torch::Tensor>& tensors,
                               const std::string& state = "{\"step\": 2}") {
    fs::create_directories(folder);
    model::write_safetensors(folder / "model.safetensors", tensors);
    core::write_file_atomic(folder / "trainer_state.json", state);
  }

  static void write_run(const fs::path& run) {
    fs::create_directories(run);
    core::write_file_atomic(run / "config.json", R"({"optim": {"lr": 1e-5}})");
    write_metrics(run, 4);
    write_checkpoint(run / "checkpoint-2", weights());
    write_checkpoint(run / "final", weights());
  }

  RunComparison compare(double tolerance = 0) const { return compare_runs(a_, b_, tolerance); }

  const fs::path root_ =
      fs::path(testing::TempDir()) / ("run_comparison_" + std::to_string(::getpid()));
  const fs::path a_ = root_ / "a", b_ = root_ / "b";
};

TEST_F(RunComparisonTest, EqualRunsAreEqual) {
  const RunComparison found = compare();
  EXPECT_TRUE(found.equal());
  EXPECT_EQ(found.steps, 4);
  ASSERT_EQ(found.checkpoints.size(), 2U);
  EXPECT_EQ(found.checkpoints[0].name, "checkpoint-2");
  EXPECT_EQ(found.checkpoints[1].name, "final");
  EXPECT_EQ(found.checkpoints[1].tensors, 2);
  EXPECT_THAT(found.settings, ElementsAre());
  EXPECT_THAT(found.only_in_one, ElementsAre());
  EXPECT_THAT(describe(found), HasSubstr("\nequal\n"));
}

TEST_F(RunComparisonTest, NamesTheFirstStep) {
  write_metrics(b_, 4, /*from=*/3, /*factor=*/1 + 1e-4);
  const RunComparison found = compare();
  EXPECT_FALSE(found.equal());
  ASSERT_TRUE(found.first_step);
  EXPECT_EQ(found.first_step->step, 3);
  EXPECT_EQ(found.first_step->key, "loss");
  EXPECT_EQ(found.first_step->differing_steps, 2);
  EXPECT_TRUE(compare(/*tolerance=*/2e-4).equal());
  EXPECT_FALSE(compare(/*tolerance=*/5e-5).equal());
}

TEST_F(RunComparisonTest, NamesTheFirstTensorAndTheWorst) {
  auto other = weights();
  other["v"][1][1] += 0.5;   // 0.5 of 4.5
  other["w"][5] += 0.00005;  // 1e-5 of 5
  write_checkpoint(b_ / "checkpoint-2", other);
  const RunComparison found = compare();
  const CheckpointComparison& checkpoint = found.checkpoints[0];
  EXPECT_EQ(checkpoint.differing, 2);
  EXPECT_EQ(checkpoint.first->name, "v");
  EXPECT_EQ(checkpoint.worst->name, "v");
  EXPECT_DOUBLE_EQ(checkpoint.worst->absolute, 0.5);
  EXPECT_DOUBLE_EQ(checkpoint.worst->relative, 0.5 / 4.5);
  EXPECT_TRUE(found.checkpoints[1].equal());
  EXPECT_EQ(compare(/*tolerance=*/1e-4).checkpoints[0].differing, 1);
  EXPECT_TRUE(compare(/*tolerance=*/0.12).equal());
}

TEST_F(RunComparisonTest, ADifferenceOfNoNumberIsNotTolerated) {
  auto other = weights();
  other["w"][0] = std::numeric_limits<float>::quiet_NaN();
  write_checkpoint(b_ / "final", other);
  const RunComparison found = compare(/*tolerance=*/1);
  ASSERT_TRUE(found.checkpoints[1].worst);
  EXPECT_EQ(found.checkpoints[1].worst->name, "w");
  EXPECT_FALSE(found.equal());
  write_checkpoint(a_ / "final", other);
  EXPECT_TRUE(compare().equal()) << "the same bits";
}

TEST_F(RunComparisonTest, MissingAndMisshapenTensorsAreSaid) {
  auto other = weights();
  other.erase("v");
  other["w"] = torch::zeros({7});
  other["x"] = torch::zeros({1});
  write_checkpoint(b_ / "final", other);
  const std::string text = describe(compare());
  EXPECT_THAT(text, HasSubstr("3 of 3 tensors differ"));
  EXPECT_THAT(text, HasSubstr("v, only in A"));
  write_checkpoint(a_ / "final", {{"w", weights()["w"]}});
  EXPECT_THAT(describe(compare()), HasSubstr("w, F32 [6] in A, F32 [7] in B"));
}

TEST_F(RunComparisonTest, SettingsAndWhatOnlyOneHasAreListedAndMakeNoDifference) {
  core::write_file_atomic(b_ / "config.json", R"({"optim": {"lr": 2e-5}})");
  write_metrics(b_, 6);
  write_checkpoint(b_ / "checkpoint-4", weights());
  const RunComparison found = compare();
  EXPECT_TRUE(found.equal());
  EXPECT_THAT(found.settings, ElementsAre("optim.lr: 1e-05 -> 2e-05"));
  EXPECT_THAT(found.only_in_one,
              ElementsAre("only B has logged 2 steps, 5 to 6", "only B has checkpoint-4"));
}

TEST_F(RunComparisonTest, TheTrainersStateIsPartOfIt) {
  write_checkpoint(b_ / "checkpoint-2", weights(), R"({"step": 2, "skipped": ["x"], "ranks": 4})");
  write_checkpoint(b_ / "final", weights(), R"({"step": 2, "ranks": 4})");
  const RunComparison found = compare();
  EXPECT_FALSE(found.equal());
  EXPECT_THAT(found.checkpoints[0].state, ElementsAre("skipped: null -> [\"x\"]"));
  EXPECT_TRUE(found.checkpoints[1].equal()) << "how many ranks there were is no difference";
}

TEST_F(RunComparisonTest, WhatCannotBeComparedIsRefused) {
  EXPECT_THROW(compare_runs(a_, root_ / "none", 0), core::Error);
  fs::remove_all(b_);
  fs::create_directories(b_);
  EXPECT_THROW(compare(), core::Error);
  write_checkpoint(b_ / "checkpoint-4", weights());
  core::write_file_atomic(b_ / "config.json", "{}");
  try {
    compare();
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no step and no checkpoint in common"));
  }
}

}  // namespace
}  // namespace streamo::compare
