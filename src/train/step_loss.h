// What a step adds up, over its micro-batches and over the ranks.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/loading/batch.h"
#include "loss/streaming_loss.h"
#include "parallel/ranks.h"

namespace streamo::train {

// Known before anything is computed.
struct StepTotals {
  int64_t tokens = 0, frames = 0;
  int64_t supervised_tokens = 0;          // N of the loss
  std::array<double, 3> states{};         // targets by text::State
  std::vector<data::BadSample> bad = {};  // of all ranks, in their order
};
// Collective.
StepTotals total_over_ranks(const data::StepBatch& step, parallel::Ranks& ranks);

// The losses of a step's micro-batches. Kept apart until the end and then added in the order of
// their numbers, so that the sums are the same on any number of ranks.
class StepLoss {
 public:
  explicit StepLoss(int64_t micro_batches_of_step) : count_(micro_batches_of_step) {}

  // Stays on the device: nothing waits for it.
  void add(int64_t number, const loss::LossTerms& terms, const loss::SupervisedRows& rows);
  // Collective. Afterwards the numbers below are those of all ranks. `flags` are added up over the
  // ranks and returned: what else they have to agree on.
  std::vector<double> exchange(parallel::Ranks& ranks, const std::vector<double>& flags);

  double loss = 0;             // weighted and normalised
  double text = 0, state = 0;  // sums of plain cross-entropies of text and state targets
  std::array<int64_t, 3> targets{}, hits{};  // by text::State
  std::vector<double> losses;                // by the number of the micro-batch

 private:
  int64_t count_;
  std::vector<int64_t> numbers_;
  std::vector<torch::Tensor> rows_;  // of the micro-batches of this rank, [kColumns] double
};

}  // namespace streamo::train
