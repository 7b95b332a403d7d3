// What of a step's gradients is summed when, with sharded blocks.
#include "parallel/fully_sharded_reducer.h"

namespace streamo::parallel {

using torch::Tensor;

FullyShardedReducer::FullyShardedReducer(std::vector<model::NamedParameter> parameters,
                                         model::VisionLanguageModel& model, Sharding sharding,
                                         SumOrder order)
    : GradientReducer(std::move(parameters), std::move(sharding), order),
      blocks_(*flat_.sharding().ranks, flat_.sharding().groups, model),
      outside_(flat_.subset({})),
      sum_(order) {
  std::vector<size_t> outside;
  for (size_t i = 0; i < flat_.size(); ++i) {
    const Tensor shard = blocks_.local_shard(flat_.named()[i].tensor);
    if (shard.defined()) {
      flat_.keep_part(i, shard);
      in_blocks_.push_back(i);
    } else {
      outside.push_back(i);
    }
  }
  outside_ = flat_.subset(std::move(outside));
}

void FullyShardedReducer::end_micro_batch() {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> sums(flat_.size()), outside;
  blocks_.end_micro_batch();
  for (const size_t i : outside_.members) outside.push_back(flat_.pop_grad(i));
  outside = outside_.shards.reduce_scatter(std::move(outside), flat_.dtype());
  for (size_t i = 0; i < outside.size(); ++i)
    sums[outside_.members[i]] = outside[i].to(torch::kFloat);
  for (const size_t i : in_blocks_) {
    auto [sum, on_this_rank] = blocks_.pop_grad(flat_.named()[i].tensor);
    sums[i] = std::move(sum);
    if (on_this_rank) flat_.note_grad(i);
  }
  sum_.add(std::move(sums));
}

Gradients FullyShardedReducer::reduce() {
  return flat_.finish(sum_.take());
}

// Blocks are gathered where they are used next.
void FullyShardedReducer::publish(const Gradients& gradients) {
  const torch::NoGradGuard no_grad;
  flat_.all_gather_params(outside_, gradients);
  flat_.write_rows(gradients);
}

}  // namespace streamo::parallel
