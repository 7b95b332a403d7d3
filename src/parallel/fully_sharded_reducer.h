// Weights, gradients and optimizer state of the model's blocks sharded over the ranks: ZeRO-3, or
// FSDP. What is in no block (embedding, head, merger, norms) is whole on every rank and updated in
// shards, as in ZeRO-1.
//
// Gradients are summed over the ranks behind each micro-batch, not once a step: a rank that waited
// would have to keep whole ones.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "parallel/gradient_reducer.h"
#include "parallel/sharded_blocks.h"

namespace streamo::parallel {

class FullyShardedReducer final : public GradientReducer {
 public:
  FullyShardedReducer(std::vector<model::NamedParameter> parameters,
                      model::VisionLanguageModel& model, Sharding sharding, SumOrder order);

  bool in_lockstep() const override { return true; }
  void end_micro_batch() override;
  Gradients reduce() override;
  void publish(const Gradients& gradients) override;

  void unshard(bool on_all_ranks) override { blocks_.unshard(on_all_ranks); }
  void reshard() override { blocks_.reshard(); }
  void gather_weights(std::map<std::string, torch::Tensor>& weights) const override {
    blocks_.gather_to_host(weights);
  }

 private:
  ShardedBlocks blocks_;
  std::vector<size_t> in_blocks_;   // indices of parameters
  FlatParameters::Subset outside_;  // of blocks
  MicroBatchSum sum_;               // of this rank's shards
};

}  // namespace streamo::parallel
