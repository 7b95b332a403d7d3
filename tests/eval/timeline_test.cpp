// What becomes of a timeline between processes, and in a file.
#include "eval/timeline.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace streamo::eval {
namespace {

using Json = nlohmann::ordered_json;

const Timeline kTimeline{
    "a \"b\"",
    "ü",
    "caption",
    "made up",
    2.0,
    {{"When?\nNow?",
      text::State::kStandby,
      text::State::kResponse,
      "",
      "It is.",
      {0.1F, 1e-9F, 0.9F}},
     {"", text::State::kResponse, text::State::kSilence, "Then.", "", {1.0F / 3, 2.0F / 3, 0.0F}}}};

// The numbers of an evaluation by several ranks are those of one, to the last bit.
TEST(Timeline, ReachesAnotherProcessToTheLastBit) {
  const Timeline back = parse_timeline(Json::parse(to_exact_json(kTimeline).dump()));
  EXPECT_EQ(back.id, kTimeline.id);
  EXPECT_EQ(back.video_name, kTimeline.video_name);
  EXPECT_EQ(back.task_type, kTimeline.task_type);
  EXPECT_EQ(back.source, kTimeline.source);
  EXPECT_EQ(back.fps, kTimeline.fps);
  ASSERT_EQ(back.turns.size(), kTimeline.turns.size());
  for (size_t i = 0; i < back.turns.size(); ++i) {
    const TurnOutcome &turn = back.turns[i], &before = kTimeline.turns[i];
    EXPECT_EQ(turn.question, before.question);
    EXPECT_EQ(turn.truth, before.truth);
    EXPECT_EQ(turn.predicted, before.predicted);
    EXPECT_EQ(turn.truth_answer, before.truth_answer);
    EXPECT_EQ(turn.answer, before.answer);
    EXPECT_EQ(turn.probabilities, before.probabilities);
  }
}

TEST(Timeline, IsWrittenWithFourDigitsOfItsProbabilities) {
  const auto turns = to_json(kTimeline).at("turns");
  EXPECT_EQ(turns.at(0).at("probabilities").dump(), "[0.1,0.0,0.9]");
  EXPECT_EQ(turns.at(1).at("probabilities").dump(), "[0.3333,0.6667,0.0]");
  EXPECT_FALSE(turns.at(1).contains("question"));
}

}  // namespace
}  // namespace streamo::eval
