// AdamW over fp32 parameters, or over bf16 parameters with an fp32 copy that the update is made on.
//
// A bf16 parameter has 8 bits of mantissa: at lr 1e-5 most updates would round to nothing. So its
// master copy, moments and gradient are fp32 (the constructor asks autograd for fp32 gradients:
// micro-batches add up without rounding), and the parameter is the rounded master after each step.
// Update: Loshchilov and Hutter, arXiv 1711.05101 (decoupled decay), with torch.optim.AdamW's
// defaults.
//
// With several ranks each adds up the gradients of its own micro-batches; once a step they are
// summed over the ranks, each rank receiving a part of every parameter. It updates its parts and
// all get the new values (ZeRO stage 1: Rajbhandari et al., arXiv 1910.02054), so that state and
// update cost 1 / ranks; or the summed gradients are completed and every rank updates all. Where
// the blocks' parameters are kept in parts (RankSharing::blocks), gradients are summed over the
// ranks after each micro-batch, so that no rank keeps whole ones.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "optim/gradient_tree.h"
#include "parallel/flat_shards.h"
#include "parallel/ranks.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::parallel {
class GradientExchange;
class ShardedBlocks;
}  // namespace streamo::parallel

namespace streamo::optim {

struct NamedParameter {
  std::string name;
  torch::Tensor tensor;   // a leaf; without requires_grad it is frozen: left alone, no state
  double lr_scale = 1.0;  // its learning rate as a multiple of step()'s
  // int64 indices of the rows that are trained; undefined: all. The others stay as they are, and
  // have no optimizer state.
  torch::Tensor rows = {};

  // Of what is trained.
  int64_t numel() const { return rows.defined() ? rows.numel() * tensor.size(1) : tensor.numel(); }
};

struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  // Which parameters decay: matrices (two or more dimensions: projections, embeddings, patch
  // convolution; no norm, no bias) | all | transformers (see decays()).
  std::string decay = "matrices";
};

// Whether a parameter of that name and rank decays under a rule. `transformers` follows the Hugging
// Face Trainer, which goes by the name alone (no "bias", "layernorm", "rmsnorm", ".norm.",
// "_norm"): the norms of the Qwen2.5-VL vision tower (norm1, norm2, ln_q) do decay there. Throws
// core::Error{kConfig} for an unknown rule.
bool decays(const std::string& rule, const std::string& name, int64_t dimensions);

// How ranks share the work. One who is alone does all of it.
struct RankSharing {
  std::shared_ptr<parallel::Ranks> ranks = std::make_shared<parallel::Ranks>();
  parallel::ShardGroups groups =
      parallel::ShardGroups::split(ranks, 0);  // what is in parts is cut inside
  bool shard_state = true;                     // each rank keeps the state of its parts alone
  // All sums in an order that does not depend on how many ranks there are.
  bool deterministic = false;
  // Whose parameters are in parts too, and their gradients summed already; null: all are whole.
  std::shared_ptr<parallel::ShardedBlocks> blocks = nullptr;
  // Whose last backward pass of a step gradients are sent in, unless they are summed in another
  // order (`deterministic`) or already (`blocks`); null: they are sent behind it.
  model::VisionLanguageModel* model = nullptr;
};

class AdamW {
 public:
  // Throws core::Error{kConfig} when nothing is trainable or the rule is unknown.
  AdamW(std::vector<NamedParameter> parameters, AdamWConfig config, RankSharing sharing = {});
  ~AdamW();
  AdamW(const AdamW&) = delete;
  AdamW& operator=(const AdamW&) = delete;

  // To be called after each micro-batch of a step, also one in which nothing was computed; with
  // `blocks` it is collective. The sum over micro-batches is autograd's own, in their order; with
  // `deterministic` it is made in a tree over them, which the tree over ranks goes on with: the
  // result is the same bits on 1 rank and on 2^k, where each has 2^m micro-batches. Costs a copy of
  // the gradients a level of the tree.
  void end_micro_batch();
  // Tells that the next backward pass is this rank's last of the step.
  void begin_last_micro_batch();
  // Collective. To be called behind the last micro-batch of the step, before anything else is
  // exchanged: sends the gradients that wait for it, also when the step is not to be finished.
  void send_gradients();
  // Collective. The 2-norm over all gradients of all ranks, before clipping. Above `max_norm` they
  // are scaled to it as torch.nn.utils.clip_grad_norm_ does. max_norm 0: only measured. A
  // non-finite norm scales nothing.
  double clip_grad_norm(double max_norm);
  // Collective. One update from the parameters' .grad(). A parameter that has no gradient on any
  // rank is left as it is (torch's way).
  void step(double lr);
  // Collective. Drops the gradients (and their memory).
  void zero_grad();

  // Collective. Whether all numbers of all ranks are finite, of the trained parameters and of what
  // is kept of them.
  bool is_finite() const;

  // Collective. For a checkpoint, on the first rank (others get nothing): "<parameter>.exp_avg",
  // ".exp_avg_sq", ".step" (number of updates, fp32 scalar), and ".master" of bf16 parameters and
  // of trained rows, in the shape of the parameter or rows: the same however the state is shared.
  // The tensors share the optimizer's storage where one rank has all, else they are in host memory.
  std::map<std::string, torch::Tensor> state();
  // Copies into place what is this rank's. The parameters themselves are not touched: the
  // checkpoint's weights are. Throws core::Error{kCheckpoint} for a missing, unknown or misshapen
  // entry.
  void load_state(const std::map<std::string, torch::Tensor>& state);

  // The trainable parameters, in the order given.
  const std::vector<NamedParameter>& parameters() const { return parameters_; }

 private:
  struct Slot {  // of parameters_[i], or of its trained rows, as one row of `numel` numbers
    parallel::FlatShards::Range kept;  // the numbers whose state is here: all, or this rank's part
    torch::Tensor values;  // [numel]: a view of the parameter, or a copy of the trained rows;
                           // undefined for those of sharded blocks
    torch::Tensor own;     // [kept]: a view of them, or the part that the blocks have
    torch::Tensor master;  // fp32 [kept]; undefined for fp32 values, which are their own
    torch::Tensor exp_avg, exp_avg_sq;  // fp32 [kept]
    torch::Tensor step;                 // fp32 scalar
    torch::Tensor gradient;             // of this step, fp32: [numel], or this rank's part
    bool decay = false;
    std::vector<int64_t> shape;
  };

  parallel::Ranks& ranks() const { return *sharing_.ranks; }
  bool alone() const { return ranks().size() == 1; }
  bool shards_state() const { return !alone() && sharing_.shard_state; }
  Slot make_slot(size_t parameter) const;
  // From the parameters' .grad() to the slots' gradients, summed over the ranks. Once a step.
  void collect();
  torch::Tensor take_gradient(size_t parameter);
  std::vector<torch::Tensor> sum_micro_batch();
  std::vector<torch::Tensor> sum_over_ranks();
  std::vector<torch::Tensor> gradients() const;
  double squared_norm_in_order() const;
  void complete_gradients();
  // Parameters of one kernel call: the same decay and the same rate.
  using Group = std::pair<bool, double>;
  Group group_of(size_t parameter) const;
  void update(const Group& group, double lr);
  void publish_values();

  // What is kept of each number, by its name in a checkpoint.
  static constexpr std::array<std::pair<const char*, torch::Tensor Slot::*>, 3> kEntries = {
      {{".exp_avg", &Slot::exp_avg},
       {".exp_avg_sq", &Slot::exp_avg_sq},
       {".master", &Slot::master}}};

  RankSharing sharing_;
  AdamWConfig config_;
  std::vector<NamedParameter> parameters_;
  std::vector<Slot> slots_;
  std::set<Group> groups_;
  std::unique_ptr<parallel::FlatShards> shards_;  // null: alone
  GradientTree tree_;                             // of the micro-batches, with `deterministic`
  // With `blocks`: parameters of none of them, and what of the step's gradients was summed so far.
  std::vector<size_t> whole_parameters_;
  std::unique_ptr<parallel::FlatShards> whole_shards_;
  std::vector<torch::Tensor> sums_;                       // this rank's parts
  std::vector<double> present_;                           // 1: this rank had a gradient
  std::unique_ptr<parallel::GradientExchange> exchange_;  // null: gradients are summed all at once
  bool collected_ = false;
};

}  // namespace streamo::optim
