// Truth: each threshold applied to the timelines by hand (replayed below) and scored by
// compute_metrics(), which is tested by itself; and small cases worked out.
#include "eval/thresholds.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/rng.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using testing::HasSubstr;
using text::State;

TurnOutcome turn(bool truth, double probability) {
  TurnOutcome turn;
  turn.truth = truth ? State::kResponse : State::kSilence;
  turn.predicted = probability > 0.5 ? State::kResponse : State::kSilence;
  turn.probabilities = {static_cast<float>(1 - probability), 0, static_cast<float>(probability)};
  return turn;
}

StoredEvaluation random_evaluation(uint64_t seed) {
  core::Rng rng{seed};
  StoredEvaluation evaluation;
  for (int i = 0; i < 12; ++i) {
    Timeline timeline;
    timeline.fps = i % 3 == 0 ? 2 : 1;
    for (int64_t turns = rng.integer(1, 60), j = 0; j < turns; ++j) {
      // Few values, so that many turns share one.
      timeline.turns.push_back(
          turn(rng.integer(0, 7) == 0, static_cast<double>(rng.integer(0, 20)) / 20));
    }
    evaluation.timelines.push_back(timeline);
  }
  return evaluation;
}

// The definition.
Metrics with_threshold(const StoredEvaluation& evaluation, double threshold) {
  std::vector<Timeline> timelines = evaluation.timelines;
  for (Timeline& timeline : timelines) {
    for (TurnOutcome& turn : timeline.turns) {
      turn.predicted = turn.probabilities[2] >= threshold ? State::kResponse : State::kSilence;
    }
  }
  return compute_metrics(timelines);
}

TEST(OperatingCurve, EachPointIsTheEvaluationWithThatThreshold) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const StoredEvaluation evaluation = random_evaluation(seed);
    const OperatingCurve curve = operating_curve(evaluation, kMatchWindow);
    EXPECT_EQ(curve.points.size(), 21u);
    for (const OperatingPoint& point : curve.points) {
      const Metrics metrics = with_threshold(evaluation, point.threshold);
      EXPECT_EQ(point.responses, metrics.predicted_responses);
      EXPECT_EQ(point.hits, metrics.events.back().hits);
      EXPECT_DOUBLE_EQ(point.recall, *metrics.events.back().recall);
      EXPECT_DOUBLE_EQ(point.precision, *metrics.events.back().precision);
      EXPECT_DOUBLE_EQ(point.f1, *metrics.events.back().f1);
      EXPECT_NEAR(point.false_per_minute, metrics.false_responses_per_minute, 1e-12);
    }
    const OperatingCurve near = operating_curve(evaluation, kOnTime);
    for (const OperatingPoint& point : near.points) {
      EXPECT_EQ(point.hits, with_threshold(evaluation, point.threshold).events[0].hits);
    }
  }
}

TEST(OperatingCurve, RisesAsTheThresholdFalls) {
  for (uint64_t seed = 10; seed < 20; ++seed) {
    const OperatingCurve curve = operating_curve(random_evaluation(seed), 2);
    for (size_t i = 1; i < curve.points.size(); ++i) {
      EXPECT_LT(curve.points[i].threshold, curve.points[i - 1].threshold);
      EXPECT_GE(curve.points[i].recall, curve.points[i - 1].recall);
      EXPECT_GE(curve.points[i].false_per_minute, curve.points[i - 1].false_per_minute);
    }
  }
}

// A minute: true responses at 10 and 40.
StoredEvaluation minute() {
  Timeline timeline;
  for (int i = 0; i < 60; ++i) timeline.turns.push_back(turn(i == 10 || i == 40, 0.01));
  timeline.turns[10] = turn(true, 0.9);
  timeline.turns[25] = turn(false, 0.8);
  timeline.turns[42] = turn(false, 0.7);  // 2 s late
  timeline.turns[55] = turn(false, 0.6);
  return {{timeline}, true};
}

TEST(PointAtRate, IsTheLowestThresholdWithinTheRate) {
  const OperatingCurve curve = operating_curve(minute(), kMatchWindow);
  EXPECT_TRUE(curve.exact);
  EXPECT_EQ(curve.true_responses, 2);
  EXPECT_NEAR(point_at_rate(curve, 0)->threshold, 0.9, 1e-6);
  EXPECT_NEAR(point_at_rate(curve, 0.99)->threshold, 0.9, 1e-6);
  EXPECT_NEAR(point_at_rate(curve, 1)->threshold, 0.7, 1e-6);
  EXPECT_EQ(point_at_rate(curve, 1)->recall, 1.0);
  EXPECT_NEAR(point_at_rate(curve, 2)->threshold, 0.6, 1e-6);
  EXPECT_EQ(point_at_rate(curve, 1000)->responses, 60);
  EXPECT_NEAR(best_f1(curve).threshold, 0.7, 1e-6);
  EXPECT_EQ(curve.as_played.responses, 4);
  // Within 1 s, 42 meets nothing.
  EXPECT_NEAR(point_at_rate(operating_curve(minute(), 1), 1)->threshold, 0.8, 1e-6);
}

TEST(PointAtRate, IsNoneWhereTheSurestResponseIsOneTooMany) {
  StoredEvaluation evaluation = minute();
  evaluation.timelines[0].turns[25] = turn(false, 0.99);
  const OperatingCurve curve = operating_curve(evaluation, kMatchWindow);
  EXPECT_FALSE(point_at_rate(curve, 0.5));
  EXPECT_TRUE(to_json(curve, 0.5).at("wanted").is_null());
  EXPECT_THAT(to_table(curve, 0.5), HasSubstr("no threshold"));
}

TEST(OperatingCurve, JsonAndTableSayHowExactTheyAre) {
  const auto json = to_json(operating_curve(minute(), kMatchWindow), 1);
  EXPECT_EQ(json.at("exact"), true);
  EXPECT_EQ(json.at("wanted").at("threshold"), 0.7);
  EXPECT_EQ(json.at("curve").size(), 5u);
  EXPECT_FALSE(to_json(operating_curve(minute(), 1), std::nullopt).contains("wanted"));
  EXPECT_THAT(
      to_table(operating_curve(minute(), kMatchWindow), 1),
      testing::AllOf(HasSubstr("gives exactly this"),
                     HasSubstr("threshold 0.7000: meets 100.0 % of the responses at 1.00")));
  StoredEvaluation streaming = minute();
  streaming.teacher_forced = false;
  EXPECT_THAT(to_table(operating_curve(streaming, 5), std::nullopt), HasSubstr("approximation"));
}

TEST(OperatingCurve, NeedsResponsesAndProbabilities) {
  StoredEvaluation silent = minute();
  for (TurnOutcome& turn : silent.timelines[0].turns) turn.truth = State::kSilence;
  EXPECT_THROW((void)operating_curve(silent, 5), core::Error);
  StoredEvaluation without = minute();
  for (TurnOutcome& turn : without.timelines[0].turns) turn.probabilities = {};
  EXPECT_THROW((void)operating_curve(without, 5), core::Error);
}

}  // namespace
}  // namespace streamo::eval
