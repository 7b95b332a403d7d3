#include "streamo/data/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace streamo::data {
namespace {

std::vector<size_t> items_of(const StepPlan& step) {
  std::vector<size_t> items;
  for (const auto& batch : step.micro_batches)
    items.insert(items.end(), batch.begin(), batch.end());
  return items;
}

std::vector<int64_t> lengths(size_t count) {
  std::vector<int64_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<int64_t>(10 + 7 * i % 31);
  return tokens;
}

TEST(Plan, EveryEpochUsesEveryItemOnce) {
  Plan plan(lengths(23), {.seed = 1, .micro_batch_size = 2, .grad_accum_steps = 3, .epochs = 2});
  EXPECT_EQ(plan.total_steps(), 8);  // 12 micro-batches, 4 steps an epoch
  for (const int64_t first : {0, 4}) {
    std::vector<size_t> seen;
    for (int64_t s = first; s < first + 4; ++s) {
      for (const size_t item : items_of(plan.step(s))) seen.push_back(item);
    }
    std::sort(seen.begin(), seen.end());
    std::vector<size_t> all(23);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all);
  }
  EXPECT_DOUBLE_EQ(plan.step(3).epoch, 1.0);
  EXPECT_DOUBLE_EQ(plan.step(7).epoch, 2.0);
}

TEST(Plan, AStepDependsOnItsNumberAlone) {
  const PlanOptions options{
      .seed = 5, .packing = true, .max_length = 64, .grad_accum_steps = 2, .max_steps = 40};
  Plan forward(lengths(17), options), backward(lengths(17), options);
  std::vector<StepPlan> steps;
  for (int64_t s = 0; s < 40; ++s) steps.push_back(forward.step(s));
  for (int64_t s = 39; s >= 0; --s) {
    EXPECT_EQ(backward.step(s).micro_batches, steps[static_cast<size_t>(s)].micro_batches) << s;
  }
}

TEST(Plan, SeedAndEpochChangeTheOrder) {
  Plan one(lengths(40), {.seed = 1, .micro_batch_size = 40, .epochs = 2});
  Plan two(lengths(40), {.seed = 2, .micro_batch_size = 40, .epochs = 2});
  EXPECT_NE(items_of(one.step(0)), items_of(two.step(0)));
  EXPECT_NE(items_of(one.step(0)), items_of(one.step(1)));
}

TEST(Plan, PackingFillsUpToMaxLengthAndNoFurther) {
  const std::vector<int64_t> tokens = lengths(50);
  Plan plan(tokens, {.packing = true, .max_length = 100, .grad_accum_steps = 1});
  int64_t previous = 0;
  for (int64_t s = 0; s < plan.total_steps(); ++s) {
    const auto items = items_of(plan.step(s));
    int64_t sum = 0;
    for (const size_t item : items) sum += tokens[item];
    EXPECT_LE(sum, 100);
    if (s > 0)
      EXPECT_GT(previous + tokens[items.front()], 100) << "the next sample would have fitted";
    previous = sum;
  }
}

TEST(Plan, MaxStepsGoesOnOverEpochs) {
  Plan plan(lengths(3), {.micro_batch_size = 2, .max_steps = 10});
  EXPECT_EQ(plan.total_steps(), 10);
  EXPECT_FALSE(plan.step(9).micro_batches.empty());
  EXPECT_DOUBLE_EQ(plan.step(9).epoch, 5.0);
}

}  // namespace
}  // namespace streamo::data
