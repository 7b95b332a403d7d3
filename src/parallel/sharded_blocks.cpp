// ZeRO-3/FSDP by hand: parameter storage is freed and reallocated in place, the next block is
// gathered while this one computes (prefetch), and gradients are reduce-scattered one block late.
#include "parallel/sharded_blocks.h"

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using torch::Tensor;

std::vector<int64_t> numels(const std::vector<Tensor>& tensors) {
  std::vector<int64_t> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.numel());
  return result;
}

c10::StorageImpl& storage_impl(const Tensor& tensor) {
  return *tensor.storage().unsafeGetStorageImpl();
}

}  // namespace

ShardedBlocks::ShardedBlocks(const Ranks& ranks, const ShardGroups& groups,
                             model::VisionLanguageModel& model)
    : model_(model), first_rank_(ranks.first()) {
  for (model::Block& of_model : model.blocks()) {
    std::vector<Tensor>& parameters = of_model.parameters;
    const auto trained = static_cast<size_t>(
        std::count_if(parameters.begin(), parameters.end(),
                      [](const Tensor& parameter) { return parameter.requires_grad(); }));
    STREAMO_CHECK(trained == 0 || trained == parameters.size(), "a block is trained or frozen");
    FlatShards shards(groups, numels(parameters), FlatShards::kOneBucket);
    blocks_.push_back({.parameters = std::move(parameters),
                       .whole = {},
                       .own = {},
                       .shards = std::move(shards),
                       .part = of_model.part,
                       .trained = trained > 0,
                       .gradients = {}});
    Block& block = blocks_.back();
    block.gradients.resize(block.parameters.size());
    for (size_t i = 0; i < block.parameters.size(); ++i) {
      const Tensor& parameter = block.parameters[i];
      STREAMO_CHECK(parameter.is_contiguous() && parameter.storage_offset() == 0 &&
                        storage_impl(parameter).nbytes() == parameter.nbytes() &&
                        parameter.scalar_type() == block.parameters[0].scalar_type(),
                    "a parameter has a storage of its own, and the type of its block");
      places_[parameter.unsafeGetTensorImpl()] = {blocks_.size() - 1, i};
      block.whole.push_back(parameter.variable_data().view({-1}));
      const auto own = block.shards.own(i);
      block.own.push_back(block.whole[i].narrow(0, own.begin, own.size()).clone());
    }
    free(block);
  }
  STREAMO_CHECK(!blocks_.empty(), "there are blocks");
  plan_visits();
  model_.set_block_hooks(this);
}

ShardedBlocks::~ShardedBlocks() {
  model_.set_block_hooks(nullptr);
}

// Forward through all, backward through those that need it. The last block of the forward pass is
// the first of the backward pass: it stays whole in between.
void ShardedBlocks::plan_visits() {
  backward_visit_.resize(blocks_.size());
  bool vision_is_trained = false;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    visits_.push_back({.block = i});
    const bool vision = blocks_[i].part == model::Part::kVision;
    vision_is_trained |= vision && blocks_[i].trained;
    // Text embeddings always have a gradient (the new tokens' rows are trained), so all behind do.
    blocks_[i].has_backward = !vision || vision_is_trained;
  }
  std::optional<size_t> former;
  for (size_t i = blocks_.size(); i-- > 0;) {
    if (!blocks_[i].has_backward) continue;
    backward_visit_[i] = visits_.size();
    visits_.push_back({.block = i, .gathers = i + 1 != blocks_.size(), .ends = former});
    former = i;
  }
}

Tensor ShardedBlocks::local_shard(const Tensor& parameter) const {
  const auto place = places_.find(parameter.unsafeGetTensorImpl());
  if (place == places_.end()) return {};
  return blocks_[place->second.first].own[place->second.second];
}

// A parameter's storage is emptied and filled under it: the tensor, and what autograd has saved of
// it in the forward pass, stay the same objects. Writing through another view of the storage
// (Block::whole) does not count as a change of them, so that the backward pass accepts the values
// gathered anew; they are those it has seen.
void ShardedBlocks::allocate(const Block& block) {
  for (const Tensor& parameter : block.parameters) {
    c10::StorageImpl& storage = storage_impl(parameter);
    storage.set_data_ptr_noswap(
        c10::GetAllocator(parameter.device().type())->allocate(parameter.nbytes()));
    storage.set_nbytes(parameter.nbytes());
  }
}

void ShardedBlocks::free(const Block& block) {
  for (const Tensor& parameter : block.parameters) {
    c10::StorageImpl& storage = storage_impl(parameter);
    storage.set_data_ptr_noswap(c10::DataPtr(nullptr, parameter.device()));
    storage.set_nbytes(0);
  }
}

void ShardedBlocks::launch_all_gather(size_t visit) {
  Block& block = blocks_[visits_[visit].block];
  gathering_ = block.shards.start_all_gather(block.own);
  gathering_visit_ = visit;
}

// A rank that does not compute with the block gives its shard to those who do, and drops theirs.
void ShardedBlocks::make_visit(size_t number, bool computes) {
  const Visit& visit = visits_[number];
  if (visit.ends) launch_reduce_scatter(*visit.ends);
  if (visit.gathers) {
    if (gathering_visit_ != number) launch_all_gather(number);
    Block& block = blocks_[visit.block];
    if (computes) allocate(block);
    block.shards.finish_all_gather(
        std::move(gathering_), computes ? block.whole : std::vector<Tensor>(block.whole.size()));
    gathering_visit_.reset();
  }
  // The next block's, while this one computes. Each rank launches the same collectives in the same
  // order whatever it computes: that is what keeps them from waiting for each other for ever.
  if (number + 1 < visits_.size() && visits_[number + 1].gathers) launch_all_gather(number + 1);
}

// The visits that are the others' alone.
void ShardedBlocks::catch_up_to(size_t visit) {
  STREAMO_CHECK(visit >= next_, "blocks are used in their order");
  while (next_ < visit) make_visit(next_++, /*computes=*/false);
}

void ShardedBlocks::before_forward(size_t block) {
  if (unsharded_) return;
  catch_up_to(block);
  make_visit(next_++, /*computes=*/true);
}

void ShardedBlocks::after_forward(size_t block) {
  if (unsharded_) return;
  const bool stays = block + 1 == blocks_.size() && blocks_[block].has_backward;
  if (!stays) free(blocks_[block]);
}

void ShardedBlocks::before_backward(size_t block) {
  if (unsharded_) return;
  catch_up_to(backward_visit_[block]);
  make_visit(next_++, /*computes=*/true);
}

// One at a time: the former block's sums are there before the next one's gradients become a
// message.
void ShardedBlocks::launch_reduce_scatter(size_t number) {
  Block& block = blocks_[number];
  if (block.trained) {
    wait_reduce_scatter();
    std::vector<Tensor> gradients;
    for (size_t i = 0; i < block.parameters.size(); ++i) {
      Tensor& gradient = block.parameters[i].mutable_grad();
      block.gradients[i].on_this_rank = gradient.defined();
      gradients.push_back(gradient.defined() ? gradient.reshape({-1}) : gradient);
      gradient.reset();
    }
    reducing_ =
        block.shards.start_reduce_scatter(std::move(gradients), block.parameters[0].scalar_type());
    reducing_block_ = number;
  }
  free(block);
}

void ShardedBlocks::wait_reduce_scatter() {
  if (!reducing_block_) return;
  Block& block = blocks_[*reducing_block_];
  const std::vector<Tensor> sums = block.shards.finish_reduce_scatter(std::move(reducing_));
  for (size_t i = 0; i < sums.size(); ++i) block.gradients[i].sum = sums[i].to(torch::kFloat);
  reducing_block_.reset();
}

void ShardedBlocks::end_micro_batch() {
  catch_up_to(visits_.size());
  const auto& last = visits_.back();
  if (blocks_[last.block].has_backward) launch_reduce_scatter(last.block);
  wait_reduce_scatter();
  next_ = 0;
}

ShardedBlocks::Gradient ShardedBlocks::pop_grad(const Tensor& parameter) {
  const auto [block, i] = places_.at(parameter.unsafeGetTensorImpl());
  return std::exchange(blocks_[block].gradients[i], {});
}

void ShardedBlocks::unshard(bool on_all_ranks) {
  STREAMO_CHECK(next_ == 0 && !unsharded_, "between micro-batches, and once");
  unsharded_ = true;
  for (Block& block : blocks_) {
    const bool here = on_all_ranks || first_rank_;
    if (here) allocate(block);
    block.shards.all_gather(block.own,
                            here ? block.whole : std::vector<Tensor>(block.whole.size()));
  }
}

void ShardedBlocks::reshard() {
  STREAMO_CHECK(unsharded_, "behind unshard()");
  unsharded_ = false;
  for (const Block& block : blocks_) free(block);
}

void ShardedBlocks::gather_to_host(std::map<std::string, Tensor>& weights) const {
  std::unordered_map<const c10::TensorImpl*, Tensor> on_host;
  for (const Block& block : blocks_) {
    std::vector<Tensor> whole(block.whole.size());
    for (size_t i = 0; i < whole.size() && first_rank_; ++i) {
      const Tensor& parameter = block.parameters[i];
      const Tensor values = torch::empty(parameter.sizes(), parameter.scalar_type());
      on_host[parameter.unsafeGetTensorImpl()] = values;
      whole[i] = values.view({-1});
    }
    block.shards.all_gather(block.own, whole);
  }
  for (auto it = weights.begin(); it != weights.end();) {
    const c10::TensorImpl* parameter = it->second.unsafeGetTensorImpl();
    if (places_.contains(parameter) && !first_rank_) {
      it = weights.erase(it);
      continue;
    }
    if (const auto found = on_host.find(parameter); found != on_host.end())
      it->second = std::move(found->second);
    ++it;
  }
}

}  // namespace streamo::parallel
