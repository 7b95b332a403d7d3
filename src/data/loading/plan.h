// Which items form which step: a pure function of the items' lengths, the seed and the step's
// number.
//
// Nothing else decides the order: not threads, not time, not how often a run was stopped. The
// position in the data is one integer, the step, which makes resume exact.
//
// What forms a step and its micro-batches does not depend on the number of ranks, only on that of
// the micro-batches of all of them. Who computes which is chosen so that all have about the same to
// do; the gradient is a sum, so it does not change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace streamo::data {

struct PlanOptions {
  uint64_t seed = 0;
  bool packing = false;          // fill each micro-batch up to max_length tokens
  int64_t max_length = 32768;    // tokens, with packing
  int64_t micro_batch_size = 1;  // items, without packing
  int64_t grad_accum_steps = 1;  // micro-batches of a step, of each rank
  int64_t epochs = 1;            // used when max_steps is 0
  int64_t max_steps = 0;  // stop after so many steps; the data begin again as often as needed
  int rank = 0, world_size = 1;
  // Each rank gets micro-batches that stand in a row, the same number while there are enough,
  // whatever they cost: the order of sums then does not depend on the number of ranks.
  bool fixed_order = false;
  // The ranks go through their micro-batches together, one of each at a time: those of about the
  // same cost then, and no rank has more than one more than another.
  bool in_rounds = false;

  int64_t micro_batches_of_step() const { return grad_accum_steps * world_size; }
};

struct PlanItem {
  int64_t tokens = 0;
  double cost = 0;  // of a training step on it, in any unit
};

struct MicroBatchPlan {
  int64_t number = 0;         // within the step, over all ranks
  std::vector<size_t> items;  // their numbers
  bool operator==(const MicroBatchPlan&) const = default;
};

struct StepPlan {
  double epoch = 0;                           // after this step
  std::vector<MicroBatchPlan> micro_batches;  // of this rank
  int64_t rounds = 0;                         // micro-batches of the rank that has most
};

// Which rank computes each of some micro-batches of these costs: the costliest first, each to the
// rank that has least so far (Graham, Bounds on Multiprocessing Timing Anomalies, 1969: at most
// 4/3 of the best).
std::vector<int> balance_by_cost(const std::vector<double>& costs, int world_size);

class Plan {
 public:
  // The last step of an epoch may be smaller; no item is left out.
  Plan(std::vector<PlanItem> items, PlanOptions options);

  int64_t total_steps() const { return total_steps_; }
  int64_t micro_batches_of_step() const { return options_.micro_batches_of_step(); }
  // Any step in [0, total_steps()), in any order; steps of one epoch in a row are the cheap case.
  StepPlan step(int64_t step);

 private:
  struct Epoch {
    int64_t number = -1, first_step = 0;
    std::vector<std::vector<size_t>> micro_batches;
    int64_t steps(int64_t micro_batches_of_step) const;
  };
  std::vector<std::vector<size_t>> micro_batches_of_epoch(int64_t epoch) const;
  int64_t count_steps() const;
  void seek_epoch(int64_t step);
  struct Assignment {
    size_t micro_batch;
    int rank;
  };
  std::vector<Assignment> assign_to_ranks(std::span<const std::vector<size_t>> micro_batches) const;

  std::vector<PlanItem> items_;
  PlanOptions options_;
  Epoch current_;
  int64_t total_steps_ = 0;
};

}  // namespace streamo::data
