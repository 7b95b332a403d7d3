// Shuffles by epoch, packs next-fit in shuffled order, and assigns micro-batches to ranks by LPT
// (longest processing time first).
#include "data/loading/plan.h"

#include <algorithm>
#include <numeric>

#include "core/rng.h"
#include "streamo/core/error.h"

namespace streamo::data {
namespace {

constexpr uint64_t kShufflePurpose = 0x5348;  // keeps this use of the seed apart from others

void sort_by_cost(std::vector<size_t>& order, const std::vector<double>& costs) {  // falling
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return costs[a] > costs[b]; });
}

}  // namespace

Plan::Plan(std::vector<PlanItem> items, PlanOptions options)
    : items_(std::move(items)), options_(options) {
  STREAMO_CHECK(!items_.empty(), "a plan needs items");
  total_steps_ = count_steps();
}

int64_t Plan::Epoch::steps(int64_t micro_batches_of_step) const {
  return (static_cast<int64_t>(micro_batches.size()) + micro_batches_of_step - 1) /
         micro_batches_of_step;
}

std::vector<std::vector<size_t>> Plan::micro_batches_of_epoch(int64_t epoch) const {
  std::vector<size_t> order(items_.size());
  std::iota(order.begin(), order.end(), 0);
  core::Rng rng({options_.seed, kShufflePurpose, static_cast<uint64_t>(epoch)});
  rng.shuffle(order);
  std::vector<std::vector<size_t>> micro_batches;
  int64_t tokens = 0;
  for (const size_t item : order) {
    const bool full = micro_batches.empty() ||
                      (options_.packing ? tokens + items_[item].tokens > options_.max_length
                                        : static_cast<int64_t>(micro_batches.back().size()) >=
                                              options_.micro_batch_size);
    if (full) {
      micro_batches.emplace_back();
      tokens = 0;
    }
    micro_batches.back().push_back(item);
    tokens += items_[item].tokens;
  }
  return micro_batches;
}

void Plan::seek_epoch(int64_t step) {
  if (current_.number < 0 || step < current_.first_step) {
    current_ = {0, 0, micro_batches_of_epoch(0)};
  }
  while (step >= current_.first_step + current_.steps(options_.micro_batches_of_step())) {
    const int64_t next = current_.number + 1;
    current_ = {next, current_.first_step + current_.steps(options_.micro_batches_of_step()),
                micro_batches_of_epoch(next)};
  }
}

int64_t Plan::count_steps() const {
  if (options_.max_steps > 0) return options_.max_steps;
  if (!options_.packing) {  // as many micro-batches in each epoch, whichever they are
    return options_.epochs *
           Epoch{0, 0, micro_batches_of_epoch(0)}.steps(options_.micro_batches_of_step());
  }
  int64_t steps = 0;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    steps += Epoch{epoch, 0, micro_batches_of_epoch(epoch)}.steps(options_.micro_batches_of_step());
  }
  return steps;
}

StepPlan Plan::step(int64_t step) {
  seek_epoch(step);
  const int64_t in_epoch = step - current_.first_step;
  const auto count = static_cast<int64_t>(current_.micro_batches.size());
  const int64_t begin = in_epoch * options_.micro_batches_of_step();
  const int64_t end = std::min(begin + options_.micro_batches_of_step(), count);
  StepPlan plan;
  plan.epoch =
      static_cast<double>(current_.number) + static_cast<double>(end) / static_cast<double>(count);
  const auto micro_batches =
      std::span(current_.micro_batches)
          .subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  std::vector<int64_t> counts(static_cast<size_t>(options_.world_size));
  for (const auto [i, rank] : assign_to_ranks(micro_batches)) {
    ++counts[static_cast<size_t>(rank)];
    if (rank == options_.rank)
      plan.micro_batches.push_back({static_cast<int64_t>(i), micro_batches[i]});
  }
  plan.rounds = *std::max_element(counts.begin(), counts.end());
  return plan;
}

// Each micro-batch with its rank, in the order in which it is computed there.
std::vector<Plan::Assignment> Plan::assign_to_ranks(
    std::span<const std::vector<size_t>> micro_batches) const {
  std::vector<double> costs;
  for (const std::vector<size_t>& items : micro_batches) {
    costs.push_back(0);
    for (const size_t item : items) costs.back() += items_[item].cost;
  }
  std::vector<Assignment> dealt;
  const auto ranks = static_cast<size_t>(options_.world_size);
  if (options_.in_rounds) {
    std::vector<size_t> order(costs.size());
    std::iota(order.begin(), order.end(), 0);
    if (!options_.fixed_order) sort_by_cost(order, costs);
    for (size_t i = 0; i < order.size(); ++i)
      dealt.push_back({order[i], static_cast<int>(i % ranks)});
    return dealt;
  }
  const std::vector<int> balanced =
      options_.fixed_order ? std::vector<int>() : balance_by_cost(costs, options_.world_size);
  for (size_t i = 0; i < costs.size(); ++i) {
    const auto in_a_row = static_cast<int>(static_cast<int64_t>(i) / options_.grad_accum_steps);
    dealt.push_back({i, options_.fixed_order ? in_a_row : balanced[i]});
  }
  return dealt;
}

std::vector<int> balance_by_cost(const std::vector<double>& costs, int world_size) {
  std::vector<size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  sort_by_cost(order, costs);
  std::vector<double> load(static_cast<size_t>(world_size));
  std::vector<int> rank_of(costs.size());
  for (const size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += costs[i];
    rank_of[i] = static_cast<int>(least - load.begin());
  }
  return rank_of;
}

}  // namespace streamo::data
