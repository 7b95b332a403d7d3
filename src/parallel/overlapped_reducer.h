// Gradients summed over the ranks while the last backward pass of a step still goes on: a block's
// are reduce-scattered as soon as they are complete. DDP and ZeRO-1.
//
// Before that each rank adds up its micro-batches in .grad, so that what is sent does not grow with
// their number. All ranks send in one order, the blocks from the last to the first and then what is
// in none of them. A rank that comes to a block later than others (or has no work in it, or no
// micro-batch at all) sends it then, or in reduce().
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <deque>
#include <vector>

#include "parallel/gradient_reducer.h"
#include "streamo/nn/block_hooks.h"

namespace streamo::parallel {

class OverlappedReducer final : public GradientReducer, private nn::BlockHooks {
 public:
  // A message is a copy of gradients, and so is what is received: two of them at a time keep the
  // network busy, more would only take memory.
  static constexpr size_t kMessagesInFlight = 2;

  OverlappedReducer(std::vector<model::NamedParameter> parameters,
                    model::VisionLanguageModel& model, Sharding sharding);
  ~OverlappedReducer() override;

  void begin_step(int64_t micro_batches) override { micro_batches_left_ = micro_batches; }
  void end_micro_batch() override { --micro_batches_left_; }
  Gradients reduce() override;

 private:
  struct InFlight {
    size_t message;
    FlatShards::Pending pending;
  };

  void before_forward(size_t /*block*/) override {}
  void after_forward(size_t /*block*/) override {}
  void before_backward(size_t block) override;
  void launch_reduce_scatter();  // of the next message
  void wait_reduce_scatter();    // of the oldest in flight

  model::VisionLanguageModel& model_;
  std::vector<FlatParameters::Subset> messages_;  // in the order in which they are sent
  std::vector<size_t> complete_messages_;  // by block: how many, once its backward pass begins
  int64_t micro_batches_left_ = 0;
  size_t launched_ = 0;
  std::deque<InFlight> in_flight_;
  std::vector<torch::Tensor> sums_;
};

}  // namespace streamo::parallel
