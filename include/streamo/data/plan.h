// Which items form which step: a pure function of the items' lengths, the seed and the step's
// number.
//
// Nothing else decides the order: not threads, not time, not how often a run was stopped. The
// position in the data is one integer, the step, which makes resume exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace streamo::data {

struct PlanOptions {
  uint64_t seed = 0;
  bool packing = false;          // fill each micro-batch up to max_length tokens
  int64_t max_length = 32768;    // tokens, with packing
  int64_t micro_batch_size = 1;  // items, without packing
  int64_t grad_accum_steps = 1;  // micro-batches of a step
  int64_t epochs = 1;            // used when max_steps is 0
  int64_t max_steps = 0;  // stop after so many steps; the data begin again as often as needed
};

struct StepPlan {
  double epoch = 0;                                // after this step
  std::vector<std::vector<size_t>> micro_batches;  // item numbers
};

class Plan {
 public:
  // `item_tokens`: length of each item. The last step of an epoch may be smaller; no item is left
  // out.
  Plan(std::vector<int64_t> item_tokens, PlanOptions options);

  int64_t total_steps() const { return total_steps_; }
  // Any step in [0, total_steps()), in any order; steps of one epoch in a row are the cheap case.
  StepPlan step(int64_t step);

 private:
  struct Epoch {
    int64_t number = -1, first_step = 0;
    std::vector<std::vector<size_t>> micro_batches;
    int64_t steps(int64_t grad_accum_steps) const;
  };
  std::vector<std::vector<size_t>> micro_batches_of_epoch(int64_t epoch) const;
  int64_t count_steps() const;
  void go_to_epoch_of(int64_t step);

  std::vector<int64_t> item_tokens_;
  PlanOptions options_;
  Epoch current_;
  int64_t total_steps_ = 0;
};

}  // namespace streamo::data
