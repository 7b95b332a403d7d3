// Truth: the definitions, by hand; a sampled distribution against its probabilities.
#include "stream/choose.h"

#include <gtest/gtest.h>

#include <map>

namespace streamo::stream {
namespace {

using text::State;

TEST(ChooseState, TakesTheMostProbableOneWithoutThresholds) {
  EXPECT_EQ(choose_state({0.5F, 0.2F, 0.3F}, {}, true), State::kSilence);
  EXPECT_EQ(choose_state({0.3F, 0.4F, 0.3F}, {}, true), State::kStandby);
  EXPECT_EQ(choose_state({0.3F, 0.3F, 0.4F}, {}, true), State::kResponse);
}

TEST(ChooseState, SpeaksOnlyWhereItMay) {
  EXPECT_EQ(choose_state({0.1F, 0.2F, 0.7F}, {}, false), State::kStandby);
  EXPECT_EQ(choose_state({0.2F, 0.1F, 0.7F}, {}, false), State::kSilence);
}

TEST(ChooseState, ThresholdsGoBeforeTheLargest) {
  const Thresholds early{.response = 0.25F, .standby = {}};
  EXPECT_EQ(choose_state({0.6F, 0.1F, 0.3F}, early, true), State::kResponse);
  EXPECT_EQ(choose_state({0.6F, 0.2F, 0.2F}, early, true), State::kSilence);
  const Thresholds late{.response = 0.9F, .standby = 0.3F};
  EXPECT_EQ(choose_state({0.1F, 0.1F, 0.8F}, late, true), State::kSilence);
  EXPECT_EQ(choose_state({0.1F, 0.3F, 0.6F}, late, true), State::kStandby);
  EXPECT_EQ(choose_state({0.05F, 0.05F, 0.9F}, late, true), State::kResponse);
}

TEST(ChooseToken, GreedyOrNearlySo) {
  const torch::Tensor logits = torch::tensor({0.0F, 3.0F, 2.0F});
  core::Rng rng{1};
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(choose_token(logits, {}, rng), 1);
    EXPECT_EQ(choose_token(logits, {.temperature = 1, .top_p = 0.1}, rng), 1);
    EXPECT_EQ(choose_token(logits, {.temperature = 0.01}, rng), 1);
  }
}

TEST(ChooseToken, DrawsByProbabilityWithinTheNucleus) {
  // p = 0.5, 0.25, 0.15, 0.1; the nucleus of 0.7 is the first two: 2/3 and 1/3.
  const torch::Tensor logits = torch::tensor({0.1F, 0.25F, 0.5F, 0.15F}).log();
  core::Rng rng{7};
  std::map<text::TokenId, int> count, of_all;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    ++count[choose_token(logits, {.temperature = 1, .top_p = 0.7}, rng)];
    ++of_all[choose_token(logits, {.temperature = 1}, rng)];
  }
  EXPECT_EQ(count.size(), 2U);
  EXPECT_NEAR(count[2] / double{kDraws}, 2.0 / 3, 0.015);  // 4 standard deviations
  EXPECT_NEAR(of_all[0] / double{kDraws}, 0.1, 0.01);
  EXPECT_NEAR(of_all[2] / double{kDraws}, 0.5, 0.015);
}

}  // namespace
}  // namespace streamo::stream
