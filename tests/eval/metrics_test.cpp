// Truth: worked out by hand beside each case.
#include "eval/metrics.h"

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

Metrics score_timeline(const Timeline& timeline) {
  return compute_metrics({&timeline, 1});
}

TEST(StateScores, PrecisionRecallF1AndConfusion) {
  const Metrics metrics = score_timeline(timeline_of("ssssbbRR", "sssbbsRs"));
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
  const Metrics metrics = score_timeline(timeline_of("ssRR", "ssRR"));
  EXPECT_DOUBLE_EQ(metrics.macro_f1, 1.0);
  EXPECT_DOUBLE_EQ(metrics.states[1].f1, 0.0);
  EXPECT_EQ(metrics.states[1].support, 0);
  // But one that is only predicted counts, as it is always wrong.
  EXPECT_DOUBLE_EQ(score_timeline(timeline_of("ssRR", "sbRR")).macro_f1, (2.0 / 3 + 0 + 1) / 3);
}

TEST(ResponseTiming, SignedErrorsInSeconds) {
  //                                              early 1     late 2        on time
  const Metrics metrics = score_timeline(timeline_of("ssRsssssssssRssssssssssssR",  //
                                                     "sRssssssssssssRssssssssssR"));
  EXPECT_THAT(metrics.response_errors, ElementsAre(-1.0, 2.0, 0.0));
  EXPECT_DOUBLE_EQ(*metrics.median_error, 1.0);
  EXPECT_THAT(*metrics.p90_error, DoubleNear(1.8, 1e-12));  // 1 + 0.8 (2 - 1)
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 2.0 / 3);
  EXPECT_EQ(metrics.false_responses, 0);
}

TEST(ResponseTiming, TurnsAreSecondsDividedByFps) {
  const Metrics metrics = score_timeline(timeline_of("Rsss", "sssR", 2.0));
  EXPECT_THAT(metrics.response_errors, ElementsAre(1.5));
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 0.0);
}

TEST(ResponseTiming, MissesAndFalseResponses) {
  // The only prediction is six seconds late: too far to be meant for that moment.
  const Metrics metrics = score_timeline(timeline_of("Rsssssssssss", "ssssssRsssss"));
  EXPECT_TRUE(metrics.response_errors.empty());
  EXPECT_FALSE(metrics.median_error.has_value());
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 0.0);
  EXPECT_DOUBLE_EQ(*metrics.answer_exact_match, 0.0);
  EXPECT_EQ(metrics.false_responses, 1);
  EXPECT_DOUBLE_EQ(metrics.false_responses_per_minute, 5.0);  // one in 12 seconds
}

TEST(ResponseTiming, OneToOneNearestFirst) {
  // Two predictions near one truth: the nearer is its partner, the other is false.
  EXPECT_THAT(score_timeline(timeline_of("ssRss", "RssRs")).response_errors, ElementsAre(1.0));
  // One prediction between two truths cannot serve both: the nearer (of equals the earlier) has it.
  const Metrics metrics = score_timeline(timeline_of("RsR", "sRs"));
  EXPECT_THAT(metrics.response_errors, ElementsAre(1.0));
  EXPECT_DOUBLE_EQ(*metrics.within_1s, 0.5);
  // Predictions never pair across samples.
  const std::vector<Timeline> apart = {timeline_of("R", "s"), timeline_of("s", "R")};
  EXPECT_TRUE(compute_metrics(apart).response_errors.empty());
}

TEST(ResponseTiming, SignedQuantilesAndShareOfEarlyOnes) {
  // Errors -1, 2, 0: sorted -1 0 2.
  const Metrics metrics =
      score_timeline(timeline_of("ssRsssssssssRssssssssssssR", "sRssssssssssssRssssssssssR"));
  EXPECT_DOUBLE_EQ(*metrics.signed_median_error, 0.0);
  EXPECT_THAT(*metrics.signed_p90_error, DoubleNear(1.6, 1e-12));  // 0 + 0.8 (2 - 0)
  EXPECT_DOUBLE_EQ(*metrics.early_share, 1.0 / 3);
}

TEST(ResponseEvents, PrecisionRecallAndF1ByTolerance) {
  // Errors 0, 2 and -3; a fourth truth is missed and two predictions are false.
  const Metrics metrics =
      score_timeline(timeline_of("RssssssssRssssssssRssssssssRsssssssssssss",  //
                                 "RssssssssssRssssssssssssRssssssssssRsssRs"));
  ASSERT_EQ(metrics.true_responses, 4);
  ASSERT_EQ(metrics.predicted_responses, 5);
  EXPECT_THAT(metrics.response_errors, ElementsAre(0.0, 2.0, -3.0));
  EXPECT_EQ(metrics.events[0].hits, 1);  // within 1 s
  EXPECT_DOUBLE_EQ(*metrics.events[0].precision, 1.0 / 5);
  EXPECT_DOUBLE_EQ(*metrics.events[0].recall, 1.0 / 4);
  EXPECT_DOUBLE_EQ(*metrics.events[0].f1, 2.0 / 9);
  EXPECT_EQ(metrics.events[1].hits, 2);  // within 2 s
  EXPECT_EQ(metrics.events[2].hits, 3);  // within 5 s
  EXPECT_DOUBLE_EQ(*metrics.events[2].f1, 6.0 / 9);
  EXPECT_EQ(metrics.false_responses, 2);
}

TEST(ResponseEvents, WhatDoesNotExistHasNoScore) {
  const Metrics silent = score_timeline(timeline_of("sss", "sss"));
  EXPECT_FALSE(silent.events[0].precision || silent.events[0].recall || silent.events[0].f1);
  EXPECT_FALSE(silent.early_share.has_value());
  const Metrics missed = score_timeline(timeline_of("R", "s"));
  EXPECT_FALSE(missed.events[0].precision.has_value());
  EXPECT_DOUBLE_EQ(*missed.events[0].f1, 0.0);
}

TEST(ResponseEvents, ADuplicateIsFalseNearATruthThatHasItsPartner) {
  // Second 2 is answered at 2; said again at 4 and at 7 (5 s after it); 12 is out of the blue.
  const Metrics metrics = score_timeline(timeline_of("ssRssssssssss", "ssRsRssRssssR"));
  EXPECT_EQ(metrics.false_responses, 3);
  EXPECT_EQ(metrics.duplicates, 2);
}

TEST(Grounding, SpansAreStretchesOfStandby) {
  // True [1,5), predicted [3,7): 2 of 6. True [8,10) is found as it is. True [11,12) is not.
  const Metrics metrics = score_timeline(timeline_of("sbbbbRsRbbsbR",  //
                                                     "sssbbbbRbbsss"));
  EXPECT_EQ(metrics.spans.spans, 3);
  EXPECT_THAT(*metrics.spans.mean_iou, DoubleNear((1.0 / 3 + 1 + 0) / 3, 1e-12));
  EXPECT_THAT(metrics.spans.recall_at, ElementsAre(2.0 / 3, 1.0 / 3, 1.0 / 3));
}

TEST(Grounding, OnePredictionServesOneSpan) {
  // [0,2) and [3,5) against [0,5): 2/5 both; the earlier has it.
  EXPECT_DOUBLE_EQ(*score_timeline(timeline_of("bbsbb", "bbbbb")).spans.mean_iou, 0.2);
  // Many small pieces are no good span: the best of them counts.
  EXPECT_DOUBLE_EQ(*score_timeline(timeline_of("bbbbb", "bsbbs")).spans.mean_iou, 0.4);
  EXPECT_FALSE(score_timeline(timeline_of("ssss", "sbbs")).spans.mean_iou.has_value());
}

Timeline with_probabilities(const std::string& truth,
                            const std::vector<std::array<float, 3>>& probabilities) {
  Timeline timeline = timeline_of(truth, std::string(truth.size(), 's'));
  for (size_t i = 0; i < truth.size(); ++i) timeline.turns[i].probabilities = probabilities[i];
  return timeline;
}

TEST(Calibration, WeighsTheGapOfEachBin) {
  // Bin (0.6, 0.7]: 0.625 twice, right once: gap 0.125. Bin (0.9, 1]: 1.0 once, wrong: gap 1.
  const Metrics metrics = score_timeline(with_probabilities(
      "sbR", {{0.625F, 0.25F, 0.125F}, {0.625F, 0.25F, 0.125F}, {1.0F, 0.0F, 0.0F}}));
  EXPECT_DOUBLE_EQ(*metrics.calibration.ece, (2 * 0.125 + 1 * 1.0) / 3);
  EXPECT_EQ(metrics.calibration.bins[6].turns, 2);
  EXPECT_DOUBLE_EQ(metrics.calibration.bins[6].confidence, 0.625);
  EXPECT_DOUBLE_EQ(metrics.calibration.bins[6].accuracy, 0.5);
  EXPECT_EQ(metrics.calibration.bins[9].turns, 1);
  // Standby: (0.2, 0.3] twice with 0.25, true once: gap 0.25. First bin: 0, never true: no gap.
  EXPECT_DOUBLE_EQ(*metrics.calibration.state_ece[1], 2 * 0.25 / 3);
}

TEST(Calibration, ABinHasItsUpperEdgeAndTurnsWithoutProbabilitiesDoNotCount) {
  const Metrics metrics = score_timeline(with_probabilities("ss", {{0.5F, 0.25F, 0.25F}, {}}));
  EXPECT_EQ(metrics.calibration.bins[4].turns, 1);
  EXPECT_DOUBLE_EQ(*metrics.calibration.ece, 0.5);
  EXPECT_FALSE(score_timeline(timeline_of("s", "s")).calibration.ece.has_value());
}

TEST(Answers, TokenF1IsTheMeanOverAllTrueResponses) {
  Timeline timeline = timeline_of("RssssssRssssssR", "RssssssRsssssss");
  timeline.turns[0].truth_answer = "a red ball";
  timeline.turns[0].answer = "The red ball.";  // 2 of 3 words: F1 2/3
  const Metrics metrics = score_timeline(timeline);
  EXPECT_DOUBLE_EQ(*metrics.answer_token_f1, (2.0 / 3 + 1 + 0) / 3);
}

TEST(Answers, ExactOnlyWhenTextAndTimeAreRight) {
  Timeline timeline = timeline_of("RssssssRssssssRssssssR", "RssssssRssssssssRssssR");
  timeline.turns[7].answer = "no";       // wrong text
  timeline.turns[16].answer = "yes";     // two seconds late
  timeline.turns[21].answer = " yes\n";  // blanks do not matter
  EXPECT_DOUBLE_EQ(*score_timeline(timeline).answer_exact_match, 0.5);
}

TEST(Answers, NothingToSayIsNoScore) {
  const Metrics metrics = score_timeline(timeline_of("sss", "ssR"));
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

TEST(Sources, AreScoredLikeTasks) {
  std::vector<Timeline> timelines = {timeline_of("sR", "sR"), timeline_of("sR", "ss")};
  timelines[0].source = "coin";
  const auto sources = metrics_by_source(timelines);
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_DOUBLE_EQ(*sources.at("coin").within_1s, 1.0);
  EXPECT_DOUBLE_EQ(*sources.at("").within_1s, 0.0);
}

TEST(NoTimelines, EverythingIsZeroOrAbsent) {
  const Metrics metrics = compute_metrics({});
  EXPECT_EQ(metrics.turns, 0);
  EXPECT_DOUBLE_EQ(metrics.macro_f1, 0);
  EXPECT_DOUBLE_EQ(metrics.false_responses_per_minute, 0);
}

}  // namespace
}  // namespace streamo::eval
