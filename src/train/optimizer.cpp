#include "streamo/train/optimizer.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <regex>

#include "streamo/core/error.h"
#include "streamo/core/suggest.h"

namespace streamo::train {
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

const torch::Tensor& find_entry(const std::map<std::string, torch::Tensor>& state,
                                const std::string& name, const torch::Tensor& like) {
  const auto it = state.find(name);
  if (it == state.end()) {
    throw Error(ErrorKind::kCheckpoint, "the optimizer state is missing", name,
                "resume with the freezing options of the run that saved it, or from weights only");
  }
  if (it->second.sizes() != like.sizes()) {
    throw Error(ErrorKind::kCheckpoint,
                fmt::format("the optimizer state has {} numbers, {} are expected",
                            it->second.numel(), like.numel()),
                name, "resume with the model that the checkpoint was made from");
  }
  return it->second;
}

}  // namespace

bool decays(const std::string& rule, const std::string& name, int64_t dimensions) {
  if (rule == "matrices") return dimensions >= 2;
  if (rule == "all") return true;
  if (rule == "transformers") return !is_norm_or_bias_by_name(name);
  throw Error(ErrorKind::kConfig, "unknown weight decay rule \"" + rule + "\"", "optim.decay",
              core::suggestion(rule, {"matrices", "all", "transformers"}));
}

AdamW::AdamW(std::vector<NamedParameter> parameters, AdamWConfig config)
    : config_(std::move(config)) {
  for (NamedParameter& parameter : parameters) {
    if (!parameter.tensor.requires_grad()) continue;
    Slot slot;
    slot.decay = decays(config_.decay, parameter.name, parameter.tensor.dim());
    torch::Tensor value = parameter.tensor.detach();
    if (parameter.rows.defined()) value = value.index_select(0, parameter.rows);
    if (value.scalar_type() != torch::kFloat) parameter.tensor.set_grad_dtype(torch::kFloat);
    if (value.scalar_type() != torch::kFloat || parameter.rows.defined())
      slot.master = value.to(torch::kFloat).contiguous();
    slot.exp_avg = torch::zeros_like(value, value.options().dtype(torch::kFloat));
    slot.exp_avg_sq = torch::zeros_like(slot.exp_avg);
    slot.step = torch::zeros({}, slot.exp_avg.options());
    slots_.push_back(std::move(slot));
    parameters_.push_back(std::move(parameter));
    groups_.insert(group_of(slots_.size() - 1));
  }
  if (parameters_.empty()) {
    throw Error(ErrorKind::kConfig, "every parameter is frozen, there is nothing to train",
                "model.freeze_vision, model.freeze_merger, model.freeze_language",
                "set one of them to false");
  }
}

void AdamW::step(double lr) {
  const torch::NoGradGuard no_grad;
  collect_rows();
  for (const Group& group : groups_) update(group, lr);
}

AdamW::Group AdamW::group_of(size_t parameter) const {
  return {slots_[parameter].decay, parameters_[parameter].lr_scale};
}

void AdamW::update(const Group& group, double lr) {
  const auto [decay, lr_scale] = group;
  std::vector<torch::Tensor> weights, grads, exp_avgs, exp_avg_sqs, steps, rounded, masters;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const torch::Tensor& parameter = parameters_[i].tensor;
    const Slot& slot = slots_[i];
    const torch::Tensor gradient = gradient_of(i);
    if (group_of(i) != group || !gradient.defined()) continue;
    weights.push_back(slot.master.defined() ? slot.master : parameter);
    grads.push_back(gradient);
    exp_avgs.push_back(slot.exp_avg);
    exp_avg_sqs.push_back(slot.exp_avg_sq);
    steps.push_back(slot.step.add_(1));
    if (slot.master.defined() && !parameters_[i].rows.defined()) {
      rounded.push_back(parameter);
      masters.push_back(slot.master);
    }
  }
  if (weights.empty()) return;
  at::_fused_adamw_(weights, grads, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps,
                    lr * lr_scale, config_.beta1, config_.beta2, decay ? config_.weight_decay : 0.0,
                    config_.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  if (!rounded.empty()) at::_foreach_copy_(rounded, masters);
  for (size_t i = 0; i < slots_.size(); ++i) {
    const NamedParameter& parameter = parameters_[i];
    if (group_of(i) != group || !slots_[i].row_grad.defined()) continue;
    parameter.tensor.index_copy_(0, parameter.rows,
                                 slots_[i].master.to(parameter.tensor.scalar_type()));
  }
}

void AdamW::zero_grad() {
  for (NamedParameter& parameter : parameters_) parameter.tensor.mutable_grad().reset();
  for (Slot& slot : slots_) slot.row_grad.reset();
}

torch::Tensor AdamW::gradient_of(size_t parameter) const {
  const NamedParameter& named = parameters_[parameter];
  return named.rows.defined() ? slots_[parameter].row_grad : named.tensor.grad();
}

void AdamW::collect_rows() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    NamedParameter& parameter = parameters_[i];
    if (!parameter.rows.defined() || !parameter.tensor.grad().defined()) continue;
    slots_[i].row_grad = parameter.tensor.grad().index_select(0, parameter.rows);
    parameter.tensor.mutable_grad().reset();
  }
}

std::vector<torch::Tensor> AdamW::gradients() const {
  std::vector<torch::Tensor> gradients;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (const torch::Tensor gradient = gradient_of(i); gradient.defined())
      gradients.push_back(gradient);
  }
  return gradients;
}

double AdamW::clip_grad_norm(double max_norm) {
  const torch::NoGradGuard no_grad;
  collect_rows();
  const std::vector<torch::Tensor> grads = gradients();
  if (grads.empty()) return 0.0;
  const double norm = torch::stack(at::_foreach_norm(grads, 2)).norm().item<double>();
  // The small constant is torch's own, kept so that a clipped run equals a PyTorch one.
  const double scale = max_norm / (norm + 1e-6);
  if (max_norm > 0 && std::isfinite(norm) && scale < 1.0) at::_foreach_mul_(grads, scale);
  return norm;
}

std::map<std::string, torch::Tensor> AdamW::state() const {
  std::map<std::string, torch::Tensor> state;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    state[name + ".exp_avg"] = slots_[i].exp_avg;
    state[name + ".exp_avg_sq"] = slots_[i].exp_avg_sq;
    state[name + ".step"] = slots_[i].step;
    if (slots_[i].master.defined()) state[name + ".master"] = slots_[i].master;
  }
  return state;
}

void AdamW::load_state(const std::map<std::string, torch::Tensor>& state) {
  const torch::NoGradGuard no_grad;
  const std::map<std::string, torch::Tensor> own = this->state();
  for (const auto& [name, tensor] : state) {
    if (own.contains(name)) continue;
    throw Error(ErrorKind::kCheckpoint, "the optimizer state has an entry that nothing here needs",
                name, "resume with the freezing options and dtype of the run that saved it");
  }
  // All is checked before anything is copied: a refused state leaves this object as it was.
  for (const auto& [name, tensor] : own) find_entry(state, name, tensor);
  for (const auto& [name, tensor] : own) tensor.copy_(state.at(name));
}

}  // namespace streamo::train
