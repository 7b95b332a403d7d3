// AdamW over fp32 parameters, or over bf16 parameters with an fp32 copy that the update is made on.
//
// A bf16 parameter has 8 bits of mantissa: at lr 1e-5 most updates would round to nothing. So its
// master copy, moments and gradient are fp32 (the constructor asks autograd for fp32 gradients:
// micro-batches add up without rounding), and the parameter is the rounded master after each step.
// Update: Loshchilov and Hutter, arXiv 1711.05101 (decoupled decay), with torch.optim.AdamW's
// defaults.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace streamo::train {

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

class AdamW {
 public:
  // Throws core::Error{kConfig} when nothing is trainable or the rule is unknown.
  AdamW(std::vector<NamedParameter> parameters, AdamWConfig config);

  // One update from the parameters' .grad(). A parameter without gradient is left as it is (torch's
  // way).
  void step(double lr);
  // Drops the gradients (and their memory).
  void zero_grad();
  // The 2-norm over all gradients, fp32, before clipping. Above `max_norm` they are scaled to it,
  // in place, as torch.nn.utils.clip_grad_norm_ does. max_norm 0: only measured. A non-finite norm
  // scales nothing.
  double clip_grad_norm(double max_norm);

  // For a checkpoint: "<parameter>.exp_avg", ".exp_avg_sq", ".step" (number of updates, fp32
  // scalar), and
  // ".master" of bf16 parameters and of trained rows. The tensors share the optimizer's storage.
  std::map<std::string, torch::Tensor> state() const;
  // Copies into place. The parameters themselves are not touched: the checkpoint's weights are.
  // Throws core::Error{kCheckpoint} for a missing, unknown or misshapen entry.
  void load_state(const std::map<std::string, torch::Tensor>& state);

  // The trainable parameters, in the order given.
  const std::vector<NamedParameter>& parameters() const { return parameters_; }

 private:
  struct Slot {              // of parameters_[i], or of its trained rows
    torch::Tensor master;    // undefined for an fp32 parameter that is trained as a whole
    torch::Tensor row_grad;  // gradient of the trained rows; undefined for a whole parameter
    torch::Tensor exp_avg, exp_avg_sq;
    torch::Tensor step;  // fp32 scalar
    bool decay = false;
  };

  // The gradients to update from: undefined where a parameter has none.
  torch::Tensor gradient_of(size_t parameter) const;
  // Of parameters trained in some rows, keeps the gradient of those and drops the rest.
  void collect_rows();
  std::vector<torch::Tensor> gradients() const;
  // Parameters of one kernel call: the same decay and the same rate.
  using Group = std::pair<bool, double>;
  Group group_of(size_t parameter) const;
  void update(const Group& group, double lr);

  AdamWConfig config_;
  std::vector<NamedParameter> parameters_;
  std::vector<Slot> slots_;
  std::set<Group> groups_;
};

}  // namespace streamo::train
