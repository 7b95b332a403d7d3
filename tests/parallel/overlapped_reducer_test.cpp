// Gradients sent while the last backward pass goes on: when they leave .grad. What they sum up to:
// gradient_reducer_test.cpp. The ranks are threads.
#include "parallel/overlapped_reducer.h"

#include <gtest/gtest.h>

#include "parallel/small_model.h"
#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

size_t gradients_left(const SmallModel& model) {
  size_t left = 0;
  for (const Tensor& parameter : model.parameters()) left += parameter.grad().defined() ? 1 : 0;
  return left;
}

// Rank 0 has a picture in its first micro-batch (small_model.h), so then all 11 parameters have a
// gradient: the embedding-like one, and weight and bias of five blocks.
TEST(OverlappedReducer, SendsBlocksInTheLastBackwardPassOnly) {
  std::vector<std::unique_ptr<SmallModel>> models;
  for (int rank = 0; rank < 2; ++rank) models.push_back(std::make_unique<SmallModel>(false));
  test::with_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
    SmallModel& model = *models[static_cast<size_t>(ranks->rank())];
    OverlappedReducer reducer(named_parameters(model), model,
                              {ranks, ShardGroups::split(ranks, 0), ShardMode::kOptimizer});
    for (int repeat = 0; repeat < 2; ++repeat) {
      reducer.begin_step(2);
      compute(model, ranks->rank(), 0);
      const size_t of_first = gradients_left(model);
      reducer.end_micro_batch();
      EXPECT_EQ(gradients_left(model), of_first);
      if (ranks->first()) EXPECT_EQ(of_first, 11U);
      compute(model, ranks->rank(), 1);  // without a picture on rank 0, nothing at all on rank 1
      // Behind each of the three decoder blocks comes another or the embedding; the first block's
      // hook has sent the last two, and the others wait for reduce().
      if (ranks->first()) EXPECT_EQ(gradients_left(model), 11U - 2 * 2);
      reducer.end_micro_batch();
      reducer.reduce();
      EXPECT_EQ(gradients_left(model), 0U);
    }
  });
}

// The other rank waits for what the stopped one has.
TEST(OverlappedReducer, AStepThatOneRankStopsEndsOnBoth) {
  std::vector<std::unique_ptr<SmallModel>> models;
  for (int rank = 0; rank < 2; ++rank) models.push_back(std::make_unique<SmallModel>(false));
  test::with_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
    SmallModel& model = *models[static_cast<size_t>(ranks->rank())];
    OverlappedReducer reducer(named_parameters(model), model,
                              {ranks, ShardGroups::split(ranks, 0), ShardMode::kOptimizer});
    for (const int stopped : {0, 1}) {
      reducer.begin_step(2);
      for (int number = 0; number < (ranks->rank() == stopped ? 1 : 2); ++number) {
        compute(model, ranks->rank(), number);
        reducer.end_micro_batch();
      }
      EXPECT_TRUE(reducer.reduce().values[0].defined());
      EXPECT_EQ(gradients_left(model), 0U);
    }
  });
}

}  // namespace
}  // namespace streamo::parallel
