// Truth: worked out by hand.
#include "eval/benchmark_score.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using testing::HasSubstr;

class Answers {
 public:
  // `right` of `points` right.
  Answers& add(const std::string& benchmark, const std::string& task, int right, int points,
               const std::string& protocol = kOfficial) {
    for (int i = 0; i < points; ++i) {
      Answer answer;
      answer.benchmark = benchmark;
      answer.protocol = protocol;
      answer.task = task;
      answer.id = std::to_string(answers_.size());
      answer.truth = task == "REC" ? "1" : task == "SSR" || task == "CRR" ? "Yes" : "A";
      answer.response = i < right ? answer.truth : "-";
      answers_.push_back(answer);
    }
    return *this;
  }
  std::vector<BenchmarkScore> scores() const { return score_benchmarks(answers_); }
  std::vector<Answer>& all() { return answers_; }

 private:
  std::vector<Answer> answers_;
};

TEST(BenchmarkScore, OvoCategoriesAreMeansOfTasksAndTheTotalOfCategories) {
  Answers answers;
  answers.add(kOvoBench, "EPM", 1, 4).add(kOvoBench, "ASI", 1, 1).add(kOvoBench, "HLD", 0, 9);
  answers.add(kOvoBench, "OCR", 1, 2).add(kOvoBench, "REC", 1, 5).add(kOvoBench, "CRR", 3, 5);
  const BenchmarkScore score = answers.scores().at(0);
  ASSERT_EQ(score.categories.size(), 3u);
  EXPECT_DOUBLE_EQ(score.categories[0].accuracy, 0.5);
  EXPECT_DOUBLE_EQ(score.categories[1].accuracy, (0.25 + 1 + 0) / 3);
  EXPECT_DOUBLE_EQ(score.categories[2].accuracy, (0.2 + 0.6) / 2);
  EXPECT_DOUBLE_EQ(*score.total, (0.5 + 1.25 / 3 + 0.4) / 3);
  const std::string table = to_table(score);
  EXPECT_THAT(table, HasSubstr("ovo-bench, official protocol: 26 points, 0 without an answer"));
  EXPECT_THAT(table, HasSubstr("    EPM    ASI    HLD   Avg.\n"
                               "score       25.00 100.00   0.00  41.67\n"));
  EXPECT_THAT(table, HasSubstr("Total       43.89"));
  EXPECT_THAT(table, HasSubstr("not among the answers: ACR, ATR, STU, FPD, OJR, SSR"));
}

TEST(BenchmarkScore, WithoutACategoryThereIsNoTotal) {
  Answers answers;
  const BenchmarkScore score = answers.add(kOvoBench, "EPM", 1, 4).scores().at(0);
  EXPECT_FALSE(score.total);
  EXPECT_TRUE(to_json(score).at("total").is_null());
  EXPECT_THAT(to_table(score), HasSubstr("no total: a category has no points"));
}

TEST(BenchmarkScore, StreamingBenchCountsPoints) {
  Answers answers;
  answers.add(kStreamingBench, "Counting", 1, 4).add(kStreamingBench, "Object Recognition", 1, 1);
  answers.add(kStreamingBench, "Emotion Recognition", 0, 5);
  const BenchmarkScore score = answers.scores().at(0);
  EXPECT_DOUBLE_EQ(score.categories.at(0).accuracy, 2.0 / 5);
  EXPECT_DOUBLE_EQ(*score.total, 2.0 / 10);
  EXPECT_THAT(to_table(score), HasSubstr("     OP     CT    All"));
}

TEST(BenchmarkScore, ProtocolsAreNeverMixed) {
  Answers answers;
  answers.add(kOvoBench, "EPM", 1, 1).add(kOvoBench, "EPM", 0, 1, kStreamo);
  const std::vector<BenchmarkScore> scores = answers.scores();
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].protocol, kOfficial);
  EXPECT_EQ(scores[0].tasks.at("EPM").right, 1);
  EXPECT_EQ(scores[1].protocol, kStreamo);
  EXPECT_EQ(scores[1].tasks.at("EPM").right, 0);
}

// As in two of the result files that OVO-Bench's authors published: their script counts both.
TEST(BenchmarkScore, TwoAnswersToOneQuestionBothCountAndAreTold) {
  Answers answers;
  answers.add(kOvoBench, "EPM", 1, 2).all()[1].id = "0";
  const BenchmarkScore score = answers.scores().at(0);
  EXPECT_EQ(score.repeated, 1);
  EXPECT_EQ(score.tasks.at("EPM").points, 2);
  EXPECT_THAT(to_table(score), HasSubstr("1 answers to a question that has one already"));
}

TEST(BenchmarkScore, VerdictsAreOfOneProtocol) {
  Answers answers;
  answers.add(kOvoBench, "EPM", 0, 1);
  EXPECT_EQ(score_benchmarks(answers.all(), {{"0", true}}).at(0).tasks.at("EPM").right, 1);
  answers.add(kOvoBench, "EPM", 0, 1, kStreamo);
  EXPECT_THROW((void)score_benchmarks(answers.all(), {{"0", true}}), core::Error);
}

TEST(BenchmarkScore, UnansweredPointsCountAsWrong) {
  Answers answers;
  answers.add(kOvoBench, "EPM", 2, 2).all()[0].response.reset();
  const BenchmarkScore score = answers.scores().at(0);
  EXPECT_EQ(score.tasks.at("EPM").unanswered, 1);
  EXPECT_DOUBLE_EQ(score.tasks.at("EPM").accuracy(), 0.5);
}

}  // namespace
}  // namespace streamo::eval
