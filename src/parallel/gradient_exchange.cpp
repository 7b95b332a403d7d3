// Overlaps reduction with the backward pass: block hooks launch each block's reduce-scatter, with a
// bounded number in flight.
#include "parallel/gradient_exchange.h"

#include <unordered_map>

#include "streamo/core/error.h"

namespace streamo::parallel {

using torch::Tensor;

GradientExchange::GradientExchange(const parallel::ShardGroups& groups,
                                   model::VisionLanguageModel& model,
                                   const std::vector<Parameter>& parameters,
                                   torch::ScalarType traffic, std::function<Tensor(size_t)> take)
    : model_(model), traffic_(traffic), take_(std::move(take)), sums_(parameters.size()) {
  const std::vector<model::Block> blocks = model.blocks();
  std::unordered_map<const c10::TensorImpl*, size_t> block_of;
  for (size_t block = 0; block < blocks.size(); ++block) {
    for (const Tensor& parameter : blocks[block].parameters)
      block_of[parameter.unsafeGetTensorImpl()] = block;
  }
  std::vector<std::vector<size_t>> of_block(blocks.size() + 1);  // the last: of none
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto block = block_of.find(parameters[i].tensor.unsafeGetTensorImpl());
    of_block[block == block_of.end() ? blocks.size() : block->second].push_back(i);
  }
  const auto add_message = [&](std::vector<size_t>& members, int64_t bucket) {
    std::vector<int64_t> numels;
    for (const size_t i : members) numels.push_back(parameters[i].numel);
    if (members.empty()) return;
    parallel::FlatShards shards(groups, std::move(numels), bucket);
    messages_.push_back({std::move(members), std::move(shards)});
  };
  complete_messages_.resize(blocks.size());
  for (size_t block = blocks.size(); block-- > 0;) {
    complete_messages_[block] = messages_.size();
    add_message(of_block[block], parallel::FlatShards::kOneBucket);
  }
  add_message(of_block.back(), parallel::FlatShards::kBucketNumel);
  model_.set_block_hooks(this);
}

GradientExchange::~GradientExchange() {
  model_.set_block_hooks(nullptr);
}

void GradientExchange::before_backward(size_t block) {
  while (sending_ && sent_ < complete_messages_[block]) send_next();
}

void GradientExchange::send_next() {
  if (under_way_.size() == kUnderWay) receive_oldest();
  Message& message = messages_[sent_];
  std::vector<Tensor> gradients;
  for (const size_t i : message.parameters) gradients.push_back(take_(i));
  under_way_.push_back(
      {sent_, message.shards.start_reduce_scatter(std::move(gradients), traffic_)});
  ++sent_;
}

void GradientExchange::receive_oldest() {
  UnderWay oldest = std::move(under_way_.front());
  under_way_.pop_front();
  const Message& message = messages_[oldest.message];
  std::vector<Tensor> sums = message.shards.finish_reduce_scatter(std::move(oldest.pending));
  for (size_t i = 0; i < sums.size(); ++i) sums_[message.parameters[i]] = sums[i].to(torch::kFloat);
}

void GradientExchange::send_all() {
  while (!all_sent()) send_next();
}

std::vector<Tensor> GradientExchange::receive_all() {
  STREAMO_CHECK(all_sent(), "behind send_all()");
  while (!under_way_.empty()) receive_oldest();
  sent_ = 0;
  sending_ = false;
  return std::exchange(sums_, std::vector<Tensor>(sums_.size()));
}

}  // namespace streamo::parallel
