// Truth: the order of a few made-up evaluations.
#include "run/best_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/io/file.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class BestModelTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(run_);
    fs::create_directories(BestModel::directory(run_));
  }
  void TearDown() override { fs::remove_all(run_); }

  // As the trainer does.
  void save(const Json& record) const {
    core::write_file_atomic(BestModel::directory(run_) / BestModel::kRecord, record.dump());
  }

  const fs::path run_ =
      fs::path(testing::TempDir()) / ("best_model_test-" + std::to_string(::getpid()));
};

TEST_F(BestModelTest, OnlyMoreIsBetterAndTheEarlierOfEquals) {
  BestModel best(run_, "responses.within_1s.f1", 0);
  const auto eval = [](double f1) { return Json{{"responses", {{"within_1s", {{"f1", f1}}}}}}; };
  const auto first = best.improvement(10, eval(0.5));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, (Json{{"step", 10}, {"metric", "responses.within_1s.f1"}, {"value", 0.5}}));
  EXPECT_FALSE(best.improvement(20, eval(0.5)).has_value());
  EXPECT_FALSE(best.improvement(30, eval(0.4)).has_value());
  EXPECT_TRUE(best.improvement(40, eval(0.6)).has_value());
}

TEST_F(BestModelTest, OfErrorsTheSmallerIsBetter) {
  BestModel best(run_, "false_responses_per_minute", 0);
  EXPECT_TRUE(best.improvement(1, {{"false_responses_per_minute", 3.0}}).has_value());
  EXPECT_FALSE(best.improvement(2, {{"false_responses_per_minute", 4.0}}).has_value());
  EXPECT_TRUE(best.improvement(3, {{"false_responses_per_minute", 0.0}}).has_value());
}

TEST_F(BestModelTest, WhatDoesNotExistIsNeverBest) {
  BestModel best(run_, "answer_exact_match", 0);
  EXPECT_FALSE(best.improvement(1, {{"answer_exact_match", nullptr}}).has_value());
  EXPECT_FALSE(best.improvement(2, Json::object()).has_value());
  BestModel none(run_, "", 0);
  EXPECT_FALSE(none.improvement(1, {{"answer_exact_match", 1.0}}).has_value());
}

TEST_F(BestModelTest, AResumedRunGoesOnFromItsRecord) {
  save({{"step", 10}, {"metric", "macro_f1"}, {"value", 0.7}});
  BestModel resumed(run_, "macro_f1", 10);
  EXPECT_FALSE(resumed.improvement(11, {{"macro_f1", 0.6}}).has_value());
  BestModel from_before(run_, "macro_f1", 9);  // step 10 is done again
  EXPECT_TRUE(from_before.improvement(10, {{"macro_f1", 0.6}}).has_value());
  BestModel another(run_, "answer_exact_match", 10);
  EXPECT_TRUE(another.improvement(11, {{"answer_exact_match", 0.1}}).has_value());
  core::write_file_atomic(BestModel::directory(run_) / BestModel::kRecord, "{dam");
  BestModel damaged(run_, "macro_f1", 10);
  EXPECT_TRUE(damaged.improvement(11, {{"macro_f1", 0.1}}).has_value());
}

}  // namespace
}  // namespace streamo::run
