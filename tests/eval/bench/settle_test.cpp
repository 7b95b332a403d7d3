// Truth: worked out by hand beside each case; how we read a watch is in docs/evaluation.md.
#include <gmock/gmock.h>

#include "eval/benchmark.h"

namespace streamo::eval {
namespace {

using text::State;

Episode make_play(const std::string& task, const std::vector<double>& seconds) {
  Episode play;
  for (const double second : seconds) {
    Answer answer;
    answer.benchmark = kOvoBench;
    answer.protocol = kStreamo;
    answer.task = task;
    answer.truth_second = second;
    play.answers.push_back(answer);
  }
  return play;
}

std::vector<std::string> responses(Episode play, const std::vector<BenchmarkRound>& rounds) {
  settle(play, rounds);
  std::vector<std::string> said;
  for (const Answer& answer : play.answers) said.push_back(answer.response.value_or("-"));
  return said;
}

TEST(Settle, CountsAreTheLastOneSaidByThen) {
  const std::vector<BenchmarkRound> rounds = {{3, State::kSilence, ""},
                                              {4, State::kResponse, "A. 1"},
                                              {6, State::kResponse, "B"},
                                              {8, State::kResponse, "3 times"}};
  EXPECT_THAT(responses(make_play("REC", {3, 4, 5, 7, 9}), rounds),
              testing::ElementsAre("0", "1", "1", "2", "3 times"));
}

TEST(Settle, AClueIsThereOnceItHasAnswered) {
  EXPECT_THAT(responses(make_play("CRR", {4, 5, 9}),
                        {{4, State::kStandby, ""}, {5, State::kResponse, "she sings"}}),
              testing::ElementsAre("No", "Yes", "Yes"));
}

TEST(Settle, AStepIsInProgressWhileOnStandby) {
  EXPECT_THAT(responses(make_play("SSR", {2, 3, 4, 5, 9}), {{3, State::kSilence, ""},
                                                            {4, State::kStandby, ""},
                                                            {5, State::kResponse, "4 to 5"}}),
              testing::ElementsAre("No", "No", "Yes", "No", "No"));
}

TEST(Settle, OtherwiseTheFirstResponseIsTheAnswer) {
  const std::vector<BenchmarkRound> rounds = {
      {3, State::kStandby, ""}, {4, State::kResponse, "B. Bo"}, {5, State::kResponse, "A"}};
  Episode choice = make_play("EPM", {0});
  choice.answers[0].truth_second.reset();
  EXPECT_THAT(responses(choice, rounds), testing::ElementsAre("B. Bo"));
  EXPECT_THAT(responses(choice, {{3, State::kStandby, ""}}), testing::ElementsAre("-"));
  Episode proactive = make_play("Proactive Output", {5});
  proactive.answers[0].benchmark = kStreamingBench;
  settle(proactive, rounds);
  EXPECT_EQ(proactive.answers[0].response, "B. Bo");
  EXPECT_EQ(proactive.answers[0].second, 4);
}

}  // namespace
}  // namespace streamo::eval
