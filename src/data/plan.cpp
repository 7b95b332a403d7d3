#include "streamo/data/plan.h"

#include <algorithm>
#include <numeric>

#include "streamo/core/error.h"
#include "streamo/core/rng.h"

namespace streamo::data {
namespace {

constexpr uint64_t kShufflePurpose = 0x5348;  // keeps this use of the seed apart from others

}  // namespace

Plan::Plan(std::vector<int64_t> item_tokens, PlanOptions options)
    : item_tokens_(std::move(item_tokens)), options_(options) {
  STREAMO_CHECK(!item_tokens_.empty(), "a plan needs items");
  total_steps_ = count_steps();
}

int64_t Plan::Epoch::steps(int64_t grad_accum_steps) const {
  return (static_cast<int64_t>(micro_batches.size()) + grad_accum_steps - 1) / grad_accum_steps;
}

std::vector<std::vector<size_t>> Plan::micro_batches_of_epoch(int64_t epoch) const {
  std::vector<size_t> order(item_tokens_.size());
  std::iota(order.begin(), order.end(), 0);
  core::Rng rng({options_.seed, kShufflePurpose, static_cast<uint64_t>(epoch)});
  rng.shuffle(order);
  std::vector<std::vector<size_t>> micro_batches;
  int64_t tokens = 0;
  for (const size_t item : order) {
    const bool full = micro_batches.empty() ||
                      (options_.packing ? tokens + item_tokens_[item] > options_.max_length
                                        : static_cast<int64_t>(micro_batches.back().size()) >=
                                              options_.micro_batch_size);
    if (full) {
      micro_batches.emplace_back();
      tokens = 0;
    }
    micro_batches.back().push_back(item);
    tokens += item_tokens_[item];
  }
  return micro_batches;
}

void Plan::go_to_epoch_of(int64_t step) {
  if (current_.number < 0 || step < current_.first_step) {
    current_ = {0, 0, micro_batches_of_epoch(0)};
  }
  while (step >= current_.first_step + current_.steps(options_.grad_accum_steps)) {
    const int64_t next = current_.number + 1;
    current_ = {next, current_.first_step + current_.steps(options_.grad_accum_steps),
                micro_batches_of_epoch(next)};
  }
}

int64_t Plan::count_steps() const {
  if (options_.max_steps > 0) return options_.max_steps;
  int64_t steps = 0;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    steps += Epoch{epoch, 0, micro_batches_of_epoch(epoch)}.steps(options_.grad_accum_steps);
  }
  return steps;
}

StepPlan Plan::step(int64_t step) {
  go_to_epoch_of(step);
  const int64_t in_epoch = step - current_.first_step;
  const auto count = static_cast<int64_t>(current_.micro_batches.size());
  const int64_t begin = in_epoch * options_.grad_accum_steps;
  const int64_t end = std::min(begin + options_.grad_accum_steps, count);
  StepPlan plan;
  plan.epoch =
      static_cast<double>(current_.number) + static_cast<double>(end) / static_cast<double>(count);
  plan.micro_batches.assign(current_.micro_batches.begin() + begin,
                            current_.micro_batches.begin() + end);
  return plan;
}

}  // namespace streamo::data
