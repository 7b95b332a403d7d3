// The weights of a model's blocks, sharded over the ranks and whole only while a block uses them
// (ZeRO stage 3: Rajbhandari et al., arXiv 1910.02054; in the way of PyTorch's FSDP).
//
// A block's weights are all-gathered just ahead of its forward and of its backward pass (the next
// block's while this one computes), and freed behind it; its gradients are reduce-scattered as soon
// as its backward pass is done. What is in no block (embedding, head, merger, final norm) stays
// whole on every rank.
//
// All-gathers need all ranks. They go through the blocks in one fixed order, and a rank that has
// nothing to do in one (no picture for the vision tower, no micro-batch at all) takes part in what
// the others need when it comes by: at its next block, or in end_micro_batch().
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "parallel/flat_shards.h"
#include "parallel/ranks.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/nn/block_hooks.h"

namespace streamo::parallel {

class ShardedBlocks final : public nn::BlockHooks {
 public:
  // Takes the weights that `model` has, and frees them there. Both must outlive this, whose
  // parameters of one block are all trained or all frozen, and of one type.
  ShardedBlocks(const Ranks& ranks, const ShardGroups& groups, model::VisionLanguageModel& model);
  ~ShardedBlocks() override;
  ShardedBlocks(const ShardedBlocks&) = delete;
  ShardedBlocks& operator=(const ShardedBlocks&) = delete;

  // This rank's shard of a parameter, flat, as FlatShards cuts it: what an update is made on.
  // Undefined for a parameter of no block.
  torch::Tensor local_shard(const torch::Tensor& parameter) const;

  // Collective. To be called behind every micro-batch's backward pass, also by ranks that had none.
  void end_micro_batch();
  struct Gradient {
    torch::Tensor sum;          // fp32, of this rank's shard; undefined: frozen
    bool on_this_rank = false;  // whether this rank had one to add
  };
  // Of the micro-batch that ended.
  Gradient pop_grad(const torch::Tensor& parameter);

  // Collective, between micro-batches. All weights become whole, on the first rank or on all, to be
  // read, and nothing is gathered any more, until reshard().
  void unshard(bool on_all_ranks);
  void reshard();

  // Collective, for saving. On the first rank what is sharded is put in its place in `weights`, by
  // name, in host memory; on the others it is taken out.
  void gather_to_host(std::map<std::string, torch::Tensor>& weights) const;

  void before_forward(size_t block) override;
  void after_forward(size_t block) override;
  void before_backward(size_t block) override;

 private:
  struct Block {
    std::vector<torch::Tensor> parameters;
    std::vector<torch::Tensor> whole;  // flat, of the same storage: writing is no change of theirs
    std::vector<torch::Tensor> own;    // this rank's shards
    FlatShards shards;
    model::Part part;
    bool trained = false;
    bool has_backward = false;  // something before it, or it, is trained
    std::vector<Gradient> gradients;
  };
  // One place in the order in which all ranks go through the blocks.
  struct Visit {
    size_t block = 0;
    bool gathers = true;              // false: still whole from the forward pass
    std::optional<size_t> ends = {};  // the block whose backward pass is done by now
  };
  using Place = std::pair<size_t, size_t>;  // block, parameter in it

  void plan_visits();
  void catch_up_to(size_t visit);
  void make_visit(size_t visit, bool computes);
  void launch_all_gather(size_t visit);
  void launch_reduce_scatter(size_t block);
  void wait_reduce_scatter();
  static void allocate(const Block& block);
  static void free(const Block& block);

  model::VisionLanguageModel& model_;
  bool first_rank_;
  std::vector<Block> blocks_;
  std::unordered_map<const c10::TensorImpl*, Place> places_;
  std::vector<Visit> visits_;
  std::vector<size_t> backward_visit_;  // by block
  size_t next_ = 0;                     // visit
  std::optional<size_t> gathering_visit_, reducing_block_;
  FlatShards::Pending gathering_, reducing_;
  bool unsharded_ = false;
};

}  // namespace streamo::parallel
