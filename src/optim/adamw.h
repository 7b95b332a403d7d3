// AdamW over fp32 parameters, or over bf16 parameters with an fp32 copy that the update is made on.
//
// A bf16 parameter has 8 bits of mantissa: at lr 1e-5 most updates would round to nothing. So its
// master copy, moments and gradient are fp32, and the parameter is the rounded master after each
// step. Update: Loshchilov and Hutter, arXiv 1711.05101 (decoupled decay), with
// torch.optim.AdamW's defaults.
//
// What it updates are parts of parameters, all of each or the shard of a rank
// (parallel/gradient_reducer.h): which, makes no difference to it.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "parallel/gradient_reducer.h"

namespace streamo::optim {

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
  // Updates the parts of the reducer's parameters. Throws core::Error{kConfig} when the rule of
  // decay is unknown.
  AdamW(const parallel::GradientReducer& reducer, AdamWConfig config);

  // One update in place. gradients[i]: [part of parameter i], fp32; a parameter whose gradient is
  // undefined is left as it is (torch's way).
  void step(const std::vector<torch::Tensor>& gradients, double lr);

  // Whether all numbers here are finite, of the parts and of what is kept of them.
  bool is_finite() const;

  // Collective over the reducer's ranks. For a checkpoint, on the first of them (others get
  // nothing): "<parameter>.exp_avg", ".exp_avg_sq", ".step" (number of updates, fp32 scalar), and
  // ".master" of bf16 parameters and of trained rows, in the shape of the parameter or rows: the
  // same however the parameters are sharded. The tensors share the optimizer's storage where one
  // rank has all, else they are in host memory.
  std::map<std::string, torch::Tensor> state(const parallel::GradientReducer& reducer) const;
  // Copies into place what belongs to the parts. The parameters themselves are not touched: the
  // checkpoint's weights are. Throws core::Error{kCheckpoint} for a missing, unknown or misshapen
  // entry.
  void load_state(const std::map<std::string, torch::Tensor>& state);

 private:
  // Parameters of one kernel call: the same decay and the same rate.
  struct Group {
    bool decay = false;
    double lr_scale = 1.0;
    auto operator<=>(const Group&) const = default;
  };
  struct Slot {  // of a parameter
    std::string name;
    Group group;
    parallel::ParameterPart part;
    torch::Tensor master;               // fp32 [part]; undefined for fp32, which is its own
    torch::Tensor exp_avg, exp_avg_sq;  // fp32 [part]
    torch::Tensor step;                 // fp32 scalar
  };
  void update(const Group& group, const std::vector<torch::Tensor>& gradients, double lr);

  // What is kept of each number, by its name in a checkpoint.
  static constexpr std::array<std::pair<const char*, torch::Tensor Slot::*>, 3> kEntries = {
      {{".exp_avg", &Slot::exp_avg},
       {".exp_avg_sq", &Slot::exp_avg_sq},
       {".master", &Slot::master}}};

  AdamWConfig config_;
  std::vector<Slot> slots_;
  std::set<Group> groups_;
};

}  // namespace streamo::optim
