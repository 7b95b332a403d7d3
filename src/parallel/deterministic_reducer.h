// Gradients summed in one binary tree over all micro-batches of a step, whichever rank made them:
// the same bits on 1, 2, 4 ... ranks with 2^m micro-batches each. DDP and ZeRO-1.
//
// Each micro-batch's gradients are a leaf, so they are taken out of .grad behind it; the ranks' own
// subtrees are summed behind the last, by the tree of Ranks, which goes on where theirs end.
#pragma once

#include "parallel/gradient_reducer.h"

namespace streamo::parallel {

class DeterministicReducer final : public GradientReducer {
 public:
  DeterministicReducer(std::vector<model::NamedParameter> parameters, Sharding sharding)
      : GradientReducer(std::move(parameters), std::move(sharding), SumOrder::kTree) {}

  void end_micro_batch() override;
  Gradients reduce() override;

 private:
  MicroBatchSum tree_{SumOrder::kTree};
};

}  // namespace streamo::parallel
