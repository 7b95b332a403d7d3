// Reduce-scatters under the last backward pass.
#include "parallel/overlapped_reducer.h"

#include <unordered_map>

namespace streamo::parallel {

using torch::Tensor;

OverlappedReducer::OverlappedReducer(std::vector<model::NamedParameter> parameters,
                                     model::VisionLanguageModel& model, Sharding sharding)
    : GradientReducer(std::move(parameters), std::move(sharding), SumOrder::kSequential),
      model_(model),
      sums_(flat_.size()) {
  const std::vector<model::Block> blocks = model.blocks();
  std::unordered_map<const c10::TensorImpl*, size_t> block_of;
  for (size_t block = 0; block < blocks.size(); ++block) {
    for (const Tensor& parameter : blocks[block].parameters)
      block_of[parameter.unsafeGetTensorImpl()] = block;
  }
  std::vector<std::vector<size_t>> members(blocks.size() + 1);  // the last: of no block
  for (size_t i = 0; i < flat_.size(); ++i) {
    const auto block = block_of.find(flat_.named()[i].tensor.unsafeGetTensorImpl());
    members[block == block_of.end() ? blocks.size() : block->second].push_back(i);
  }
  const auto add_message = [&](std::vector<size_t>& parameters_in_it, int64_t bucket_numel) {
    if (!parameters_in_it.empty())
      messages_.push_back(flat_.subset(std::move(parameters_in_it), bucket_numel));
  };
  complete_messages_.resize(blocks.size());
  for (size_t block = blocks.size(); block-- > 0;) {
    complete_messages_[block] = messages_.size();
    add_message(members[block], FlatShards::kOneBucket);
  }
  add_message(members.back(), FlatShards::kBucketNumel);
  model_.set_block_hooks(this);
}

OverlappedReducer::~OverlappedReducer() {
  model_.set_block_hooks(nullptr);
}

// Only the last backward pass completes the sums over this rank's micro-batches.
void OverlappedReducer::before_backward(size_t block) {
  if (micro_batches_left_ != 1) return;
  while (launched_ < complete_messages_[block]) launch_reduce_scatter();
}

void OverlappedReducer::launch_reduce_scatter() {
  if (in_flight_.size() == kMessagesInFlight) wait_reduce_scatter();
  FlatParameters::Subset& message = messages_[launched_];
  std::vector<Tensor> gradients;
  for (const size_t i : message.members) gradients.push_back(flat_.pop_grad(i));
  in_flight_.push_back(
      {launched_, message.shards.start_reduce_scatter(std::move(gradients), flat_.dtype())});
  ++launched_;
}

void OverlappedReducer::wait_reduce_scatter() {
  InFlight oldest = std::move(in_flight_.front());
  in_flight_.pop_front();
  const FlatParameters::Subset& message = messages_[oldest.message];
  std::vector<Tensor> sums = message.shards.finish_reduce_scatter(std::move(oldest.pending));
  for (size_t i = 0; i < sums.size(); ++i) sums_[message.members[i]] = sums[i].to(torch::kFloat);
}

Gradients OverlappedReducer::reduce() {
  const torch::NoGradGuard no_grad;
  while (launched_ < messages_.size()) launch_reduce_scatter();
  while (!in_flight_.empty()) wait_reduce_scatter();
  launched_ = 0;
  micro_batches_left_ = 0;
  return flat_.finish(std::exchange(sums_, std::vector<Tensor>(flat_.size())));
}

}  // namespace streamo::parallel
