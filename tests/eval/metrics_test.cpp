// Truth: worked out by hand beside each case.
#include "streamo/eval/metrics.h"

#include <gmock/gmock.h>

namespace streamo::eval {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using text::State;

// One letter a turn: s(ilence), b (standby), R(esponse).
State state_of(char letter) {
  return letter == 's' ? State::kSilence : letter == 'b' ? State::kStandby : State::kResponse;
}

Timeline timeline_of(const std::string& truth, const std::string& predicted, double fps = 1.0) {
  Timeline timeline;
  timeline.fps = fps;
  for (size_t i = 0; i < truth.size(); ++i) {
    TurnOutcome turn;
    turn.truth = state_of(truth[i]);
    turn.predicted = state_of(predicted[i]);
    if (turn.truth == State::kResponse) turn.truth_answer = "yes";
    if (turn.predicted == State::kResponse) turn.answer = "yes";
    timeline.turns.push_back(turn);
  }
  return timeline;
}

Metrics metrics_of(const Timeline& timeline) {
  return compute_metrics({&timeline, 1});
}

TEST(StateScores, PrecisionRecallF1AndConfusion) {
  const Metrics metrics = metrics_of(timeline_of("ssssbbRR", "sssbbsRs"));
  EXPECT_EQ(metrics.samples, 1);
  EXPECT_EQ(metrics.turns, 8);
  EXPECT_THAT(metrics.confusion[0], ElementsAre(3, 1, 0));
  EXPECT_THAT(metrics.confusion[1], ElementsAre(1, 1, 0));
  EXPECT_THAT(metrics.confusion[2], ElementsAre(1, 0, 1));
  EXPECT_DOUBLE_EQ(metrics.states[0].precision, 3.0 / 5);
  EXPECT_DOUBLE_EQ(metrics.states[0].recall, 3.0 / 4);
  EXPECT_DOUBLE_EQ(metrics.states[0].f1, 2.0 * 3 / (5 + 4));
  EXPECT_EQ(metrics.states[0].support, 4);
  EXPECT_DOUBLE_EQ(metrics.states[2].precision, 1.0);
  EXPECT_DOUBLE_EQ(metrics.states[2].recall, 0.5);
  EXPECT_DOUBLE_EQ(metrics.macro_f1, (6.0 / 9 + 0.5 + 2.0 / 3) / 3);
}

TEST(StateScores, AStateThatNeverOccursIsNotInTheMean) {
  const Metrics metrics = metrics_of(timeline_of("ssRR", "ssRR"));
  EXPECT_DOUBLE_EQ(metrics.macro_f1, 1.0);
  EXPECT_DOUBLE_EQ(metrics.states[1].f1, 0.0);
  EXPECT_EQ(metrics.states[1].support, 0);
  // But one that is only predicted counts, as it is always wrong.
  EXPECT_DOUBLE_EQ(metrics_of(timeline_of("ssRR", "sbRR")).macro_f1, (2.0 / 3 + 0 + 1) / 3);
}

TEST(ResponseTiming, SignedErrorsInSeconds) {
  //                                              early 1     late 2        on time
  const Metrics metrics = metrics_of(timeline_of("ssRsssssssssRssssssssssssR",  //
                                                 "sRssssssssssssRssssssssssR"));
  EXPECT_THAT(metrics.response_errors, ElementsAre(-1.0, 2.0, 0.0));
  EXPECT_DOUBLE_EQ(*metrics.median_error, 1.0);
  EXPECT_THAT(*metrics.p90_error, DoubleNear(1.8, 1e-12));  // 1 + 0.8 (2 - 1)
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 2.0 / 3);
  EXPECT_EQ(metrics.false_responses, 0);
}

TEST(ResponseTiming, TurnsAreSecondsDividedByFps) {
  const Metrics metrics = metrics_of(timeline_of("Rsss", "sssR", 2.0));
  EXPECT_THAT(metrics.response_errors, ElementsAre(1.5));
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 0.0);
}

TEST(ResponseTiming, MissesAndFalseResponses) {
  // The only prediction is six seconds late: too far to be meant for that moment.
  const Metrics metrics = metrics_of(timeline_of("Rsssssssssss", "ssssssRsssss"));
  EXPECT_TRUE(metrics.response_errors.empty());
  EXPECT_FALSE(metrics.median_error.has_value());
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 0.0);
  EXPECT_DOUBLE_EQ(*metrics.answer_exact_match, 0.0);
  EXPECT_EQ(metrics.false_responses, 1);
  EXPECT_DOUBLE_EQ(metrics.false_responses_per_minute, 5.0);  // one in 12 seconds
}

TEST(ResponseTiming, OneToOneNearestFirst) {
  // Two predictions near one truth: the nearer is its partner, the other is false.
  EXPECT_THAT(metrics_of(timeline_of("ssRss", "RssRs")).response_errors, ElementsAre(1.0));
  // One prediction between two truths cannot serve both: the nearer (of equals the earlier) has it.
  const Metrics metrics = metrics_of(timeline_of("RsR", "sRs"));
  EXPECT_THAT(metrics.response_errors, ElementsAre(1.0));
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 0.5);
  // Predictions never pair across samples.
  const std::vector<Timeline> apart = {timeline_of("R", "s"), timeline_of("s", "R")};
  EXPECT_TRUE(compute_metrics(apart).response_errors.empty());
}

TEST(Answers, ExactOnlyWhenTextAndTimeAreRight) {
  Timeline timeline = timeline_of("RssssssRssssssRssssssR", "RssssssRssssssssRssssR");
  timeline.turns[7].answer = "no";       // wrong text
  timeline.turns[16].answer = "yes";     // two seconds late
  timeline.turns[21].answer = " yes\n";  // blanks do not matter
  EXPECT_DOUBLE_EQ(*metrics_of(timeline).answer_exact_match, 0.5);
}

TEST(Answers, NothingToSayIsNoScore) {
  const Metrics metrics = metrics_of(timeline_of("sss", "ssR"));
  EXPECT_FALSE(metrics.within_1s.has_value());
  EXPECT_FALSE(metrics.answer_exact_match.has_value());
  EXPECT_EQ(metrics.false_responses, 1);
}

TEST(Tasks, EachIsScoredForItself) {
  std::vector<Timeline> timelines = {timeline_of("sR", "sR"), timeline_of("sR", "Rs"),
                                     timeline_of("sR", "sR")};
  timelines[0].task_type = timelines[1].task_type = "grounding";
  timelines[2].task_type = "narration";
  const auto tasks = metrics_by_task(timelines);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks.at("grounding").samples, 2);
  EXPECT_DOUBLE_EQ(tasks.at("grounding").macro_f1, 0.5);
  EXPECT_DOUBLE_EQ(tasks.at("narration").macro_f1, 1.0);
}

TEST(NoTimelines, EverythingIsZeroOrAbsent) {
  const Metrics metrics = compute_metrics({});
  EXPECT_EQ(metrics.turns, 0);
  EXPECT_DOUBLE_EQ(metrics.macro_f1, 0);
  EXPECT_DOUBLE_EQ(metrics.false_responses_per_minute, 0);
}

}  // namespace
}  // namespace streamo::eval
