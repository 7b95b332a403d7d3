// Updates by LibTorch's fused kernel, one call for all parameters of the same rate and decay.
#include "optim/adamw.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "core/suggest.h"
#include "streamo/core/error.h"

namespace streamo::optim {
namespace {

using core::Error;
using core::ErrorKind;

// The Trainer's patterns (transformers, get_decay_parameter_names), matched against the lower-cased
// name.
bool is_norm_or_bias_by_name(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static const std::regex kPattern(R"(bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.))");
  return std::regex_search(name, kPattern);
}

}  // namespace

bool decays(const std::string& rule, const std::string& name, int64_t dimensions) {
  if (rule == "matrices") return dimensions >= 2;
  if (rule == "all") return true;
  if (rule == "transformers") return !is_norm_or_bias_by_name(name);
  throw Error(ErrorKind::kConfig, "unknown weight decay rule \"" + rule + "\"", "optim.decay",
              core::suggestion(rule, {"matrices", "all", "transformers"}));
}

AdamW::AdamW(const parallel::GradientReducer& reducer, AdamWConfig config)
    : config_(std::move(config)) {
  for (size_t i = 0; i < reducer.parts().size(); ++i) {
    const model::NamedParameter& parameter = reducer.parameters()[i];
    Slot slot{.name = parameter.name,
              .group = {.decay = decays(config_.decay, parameter.name, parameter.tensor.dim()),
                        .lr_scale = parameter.lr_scale},
              .part = reducer.parts()[i]};
    const torch::Tensor& values = slot.part.values;
    // Trained rows are a copy of the parameter's, made before a checkpoint's state is loaded: they
    // have a master in fp32 too, which is.
    if (parameter.rows.defined() || values.scalar_type() != torch::kFloat)
      slot.master = values.to(torch::kFloat, /*non_blocking=*/false, /*copy=*/true);
    slot.exp_avg = torch::zeros_like(values, values.options().dtype(torch::kFloat));
    slot.exp_avg_sq = torch::zeros_like(slot.exp_avg);
    slot.step = torch::zeros({}, slot.exp_avg.options());
    groups_.insert(slot.group);
    slots_.push_back(std::move(slot));
  }
}

void AdamW::step(const std::vector<torch::Tensor>& gradients, double lr) {
  STREAMO_CHECK(gradients.size() == slots_.size(), "one gradient a parameter");
  const torch::NoGradGuard no_grad;
  for (const Group& group : groups_) update(group, gradients, lr);
}

void AdamW::update(const Group& group, const std::vector<torch::Tensor>& gradients, double lr) {
  std::vector<torch::Tensor> weights, grads, exp_avgs, exp_avg_sqs, steps, rounded, masters;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.group != group || !gradients[i].defined()) continue;
    slot.step.add_(1);  // also of an empty shard: the first rank's count is saved for all
    if (slot.part.range.size() == 0) continue;
    weights.push_back(slot.master.defined() ? slot.master : slot.part.values);
    grads.push_back(gradients[i]);
    exp_avgs.push_back(slot.exp_avg);
    exp_avg_sqs.push_back(slot.exp_avg_sq);
    steps.push_back(slot.step);
    if (slot.master.defined()) {
      rounded.push_back(slot.part.values);
      masters.push_back(slot.master);
    }
  }
  if (weights.empty()) return;
  at::_fused_adamw_(weights, grads, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps,
                    lr * group.lr_scale, config_.beta1, config_.beta2,
                    group.decay ? config_.weight_decay : 0.0, config_.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  if (!rounded.empty()) at::_foreach_copy_(rounded, masters);
}

}  // namespace streamo::optim
