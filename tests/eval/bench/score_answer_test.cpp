// Truth: OVO-Bench's utils/OVOBenchScore.py and StreamingBench's src/data/count.py, read; each
// case's outcome there is what stands here. The whole published result files of OVO-Bench were
// scored with both programs besides (docs/evaluation.md).
#include <gmock/gmock.h>

#include "eval/bench/published.h"
#include "eval/benchmark_score.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

Answer answer(const std::string& benchmark, const std::string& task, const std::string& truth,
              const std::string& response) {
  Answer answer;
  answer.benchmark = benchmark;
  answer.protocol = kOfficial;
  answer.task = task;
  answer.id = "5/1";
  answer.truth = truth;
  answer.response = response;
  return answer;
}

struct Case {
  const char *task, *truth, *response;
  bool right, strict;
};

TEST(ScoreAnswer, OvoBench) {
  for (const Case& c : {
           Case{"EPM", "B", "B", true, true},
           {"EPM", "B", "B. the ball", true, true},
           {"EPM", "B", "(B)", true, true},
           {"EPM", "A", "The Answer is C", true, false},  // as a substring it occurs
           {"EPM", "B", "b", false, false},
           {"EPM", "B", "", false, false},
           {"REC", "3", "3", true, true},
           {"REC", "3", "3 times", true, true},
           {"REC", "3", "they clapped 3 times", true, false},
           {"REC", "3", "13", false, false},
           {"REC", "12", "1 and 2", true, false},  // all digits in a row
           {"REC", "0", "none", false, false},
           {"SSR", "Yes", "Y", true, true},
           {"SSR", "Yes", "Yes.", true, true},
           {"SSR", "Yes", "yes", false, true},
           {"CRR", "No", "N", true, true},
           {"CRR", "No", "Not yet", true, false},
           {"CRR", "No", "Yes, No", true, false},
           {"CRR", "No", "Yes", false, false},
       }) {
    const PointScore score = score_answer(answer(kOvoBench, c.task, c.truth, c.response));
    EXPECT_EQ(score.right, c.right) << c.task << " " << c.response;
    EXPECT_EQ(score.strict, c.strict) << c.task << " " << c.response;
  }
}

TEST(ScoreAnswer, StreamingBenchComparesTheFirstCharacter) {
  for (const Case& c : {Case{"Counting", "B", "B", true, true},
                        {"Counting", "B", "Both", true, false},
                        {"Counting", "B", "(B)", false, true},
                        {"Counting", "B", "The answer is B", false, false}}) {
    const PointScore score = score_answer(answer(kStreamingBench, c.task, c.truth, c.response));
    EXPECT_EQ(score.right, c.right) << c.response;
    EXPECT_EQ(score.strict, c.strict) << c.response;
  }
}

TEST(ScoreAnswer, ProactiveWithinTwoSeconds) {
  Answer late = answer(kStreamingBench, "Proactive Output", "3", "It is 3 now");
  late.truth_second = 10;
  for (const auto& [second, on_time] :
       std::vector<std::pair<double, bool>>{{7, false}, {8, true}, {12, true}, {13, false}}) {
    late.second = second;
    EXPECT_EQ(score_answer(late).on_time, on_time) << second;
    EXPECT_EQ(score_answer(late).right, on_time) << second;
  }
  late.second = 10;
  late.response = "two";
  EXPECT_TRUE(score_answer(late).on_time);
  EXPECT_FALSE(score_answer(late).right);
}

TEST(ScoreAnswer, NoAnswerIsWrong) {
  Answer silent = answer(kOvoBench, "EPM", "B", "");
  silent.response.reset();
  EXPECT_FALSE(score_answer(silent).right);
  EXPECT_FALSE(score_answer(silent, {{"5", true}}).right);
}

TEST(ScoreAnswer, AVerdictStandsInForTheTextNotForTheTime) {
  const Answer choice = answer(kOvoBench, "EPM", "B", "the blue one");
  EXPECT_FALSE(score_answer(choice).right);
  EXPECT_TRUE(score_answer(choice, {{"5/1", true}}).right);
  EXPECT_TRUE(score_answer(choice, {{"5", true}}).right);
  EXPECT_FALSE(score_answer(answer(kOvoBench, "EPM", "B", "B"), {{"5/1", false}}).right);
  Answer late = answer(kStreamingBench, "Proactive Output", "3", "three");
  late.truth_second = 10;
  late.second = 20;
  EXPECT_FALSE(score_answer(late, {{"5/1", true}}).right);
  late.second = 11;
  EXPECT_TRUE(score_answer(late, {{"5/1", true}}).right);
}

TEST(ScoreAnswer, OfAWatchedCountThereIsNoTextToJudge) {
  Answer count = answer(kOvoBench, "REC", "3", "3");
  count.protocol = kStreamo;
  count.truth_second = 5;
  EXPECT_TRUE(score_answer(count, {{"5/1", false}}).right);
}

TEST(UnusedVerdicts, AreThoseOnNoAnswer) {
  const std::vector<Answer> answers = {answer(kOvoBench, "EPM", "B", "B")};
  EXPECT_EQ(unused_verdicts(answers, {{"5/1", true}, {"5", true}, {"6", true}, {"5/2", true}}), 2);
}

using ReadVerdicts = BenchFolder;

TEST_F(ReadVerdicts, OneALine) {
  const Verdicts verdicts = read_verdicts(
      write("v", std::string("{\"id\":\"5/1\",\"right\":true}\n{\"id\":6,\"right\":false}\n")));
  EXPECT_EQ(verdicts, (Verdicts{{"5/1", true}, {"6", false}}));
  EXPECT_EQ(read_verdicts(write("v", std::string("{\"id\":6,\"right\":false}\n"))).size(), 1u);
  EXPECT_THROW((void)read_verdicts(write("v", std::string("{\"id\":6}\n"))), core::Error);
}

}  // namespace
}  // namespace streamo::eval
