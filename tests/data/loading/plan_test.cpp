#include "data/loading/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace streamo::data {
namespace {

std::vector<size_t> items_of(const StepPlan& step) {
  std::vector<size_t> items;
  for (const auto& batch : step.micro_batches)
    items.insert(items.end(), batch.items.begin(), batch.items.end());
  return items;
}

std::vector<PlanItem> lengths(size_t count) {
  std::vector<PlanItem> items(count);
  for (size_t i = 0; i < count; ++i) {
    items[i].tokens = static_cast<int64_t>(10 + 7 * i % 31);
    items[i].cost = static_cast<double>(items[i].tokens * items[i].tokens);
  }
  return items;
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
  const std::vector<PlanItem> all = lengths(50);
  Plan plan(all, {.packing = true, .max_length = 100, .grad_accum_steps = 1});
  int64_t previous = 0;
  for (int64_t s = 0; s < plan.total_steps(); ++s) {
    const auto items = items_of(plan.step(s));
    int64_t sum = 0;
    for (const size_t item : items) sum += all[item].tokens;
    EXPECT_LE(sum, 100);
    if (s > 0) {
      EXPECT_GT(previous + all[items.front()].tokens, 100) << "the next sample would have fitted";
    }
    previous = sum;
  }
}

TEST(Plan, MaxStepsGoesOnOverEpochs) {
  Plan plan(lengths(3), {.micro_batch_size = 2, .max_steps = 10});
  EXPECT_EQ(plan.total_steps(), 10);
  EXPECT_FALSE(plan.step(9).micro_batches.empty());
  EXPECT_DOUBLE_EQ(plan.step(9).epoch, 5.0);
}

// The micro-batches of all ranks of a step, by their numbers.
std::vector<std::vector<size_t>> joined(std::vector<Plan>& ranks, int64_t step) {
  std::map<int64_t, std::vector<size_t>> by_number;
  for (Plan& rank : ranks) {
    int64_t last = -1;
    for (const MicroBatchPlan& micro_batch : rank.step(step).micro_batches) {
      EXPECT_GT(micro_batch.number, last);
      last = micro_batch.number;
      EXPECT_TRUE(by_number.emplace(micro_batch.number, micro_batch.items).second);
    }
  }
  std::vector<std::vector<size_t>> all;
  for (auto& [number, items] : by_number) {
    EXPECT_EQ(number, static_cast<int64_t>(all.size()));
    all.push_back(std::move(items));
  }
  return all;
}

TEST(Plan, MicroBatchesDoNotDependOnTheNumberOfRanks) {
  for (const bool packing : {false, true}) {
    for (const bool fixed_order : {false, true}) {
      PlanOptions options{.seed = 3,
                          .packing = packing,
                          .max_length = 80,
                          .micro_batch_size = 2,
                          .grad_accum_steps = 12,
                          .epochs = 2,
                          .fixed_order = fixed_order};
      std::vector<Plan> one = {Plan(lengths(53), options)};
      for (const int size : {2, 3, 4}) {
        options.world_size = size;
        options.grad_accum_steps = 12 / size;
        std::vector<Plan> ranks;
        for (options.rank = 0; options.rank < size; ++options.rank)
          ranks.emplace_back(lengths(53), options);
        ASSERT_EQ(ranks[0].total_steps(), one[0].total_steps());
        for (int64_t step = 0; step < one[0].total_steps(); ++step)
          EXPECT_EQ(joined(ranks, step), joined(one, step)) << size << " ranks, step " << step;
      }
    }
  }
}

TEST(Plan, InOrderEachRankHasARowOfThem) {
  PlanOptions options{.grad_accum_steps = 2, .rank = 1, .world_size = 3, .fixed_order = true};
  Plan plan(lengths(10), options);  // 10 micro-batches: 6, then 4
  const auto numbers = [&](int64_t step) {
    std::vector<int64_t> found;
    for (const MicroBatchPlan& micro_batch : plan.step(step).micro_batches)
      found.push_back(micro_batch.number);
    return found;
  };
  EXPECT_EQ(numbers(0), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(numbers(1), (std::vector<int64_t>{2, 3}));
  options.rank = 2;
  plan = Plan(lengths(10), options);
  EXPECT_EQ(numbers(1), std::vector<int64_t>{});  // the others wait for nothing from this one
}

TEST(DealByCost, TheCostliestFirstToWhoHasLeast) {
  EXPECT_EQ(balance_by_cost({1, 7, 4, 3, 3}, 2), (std::vector<int>{1, 0, 1, 1, 0}));
  EXPECT_EQ(balance_by_cost({5, 5, 5}, 4), (std::vector<int>{0, 1, 2}));
}

TEST(Plan, InRoundsEveryRankHasOneOfAboutTheSameCost) {
  PlanOptions options{.seed = 3, .grad_accum_steps = 4, .world_size = 4, .in_rounds = true};
  std::vector<std::vector<double>> costs;  // by rank and round
  std::vector<size_t> seen;
  const std::vector<PlanItem> items = lengths(16);
  for (options.rank = 0; options.rank < 4; ++options.rank) {
    const StepPlan step = Plan(items, options).step(0);
    EXPECT_EQ(step.rounds, 4);
    costs.emplace_back();
    for (const MicroBatchPlan& batch : step.micro_batches) {
      costs.back().push_back(items[batch.items[0]].cost);
      seen.push_back(batch.items[0]);
    }
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()) - seen.begin(), 16);
  for (size_t round = 0; round + 1 < 4; ++round) {  // no cost of a later round is above an earlier
    for (const auto& one : costs) {
      for (const auto& other : costs) EXPECT_GE(one[round], other[round + 1]);
    }
  }
  // In order: rank r has the micro-batches r, r + 4, ...; the last round may have fewer.
  options.fixed_order = true;
  for (options.rank = 0; options.rank < 4; ++options.rank) {
    const StepPlan step = Plan(lengths(6), options).step(0);
    EXPECT_EQ(step.rounds, 2);
    ASSERT_EQ(step.micro_batches.size(), options.rank < 2 ? 2U : 1U);
    EXPECT_EQ(step.micro_batches[0].number, options.rank);
  }
}

}  // namespace
}  // namespace streamo::data
