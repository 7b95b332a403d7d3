// What AdamW keeps, to and from a checkpoint.
#include <ATen/ops/_foreach_norm.h>
#include <fmt/format.h>

#include <limits>

#include "optim/adamw.h"
#include "streamo/core/error.h"

namespace streamo::optim {
namespace {

using core::Error;
using core::ErrorKind;

const torch::Tensor& find_entry(const std::map<std::string, torch::Tensor>& state,
                                const std::string& name, torch::IntArrayRef shape) {
  const auto it = state.find(name);
  if (it == state.end()) {
    throw Error(ErrorKind::kCheckpoint, "the optimizer state is missing", name,
                "resume with the freezing options of the run that saved it, or from weights only");
  }
  if (it->second.sizes() != shape) {
    throw Error(ErrorKind::kCheckpoint,
                fmt::format("the optimizer state has {} numbers, {} are expected",
                            it->second.numel(), c10::multiply_integers(shape)),
                name, "resume with the model that the checkpoint was made from");
  }
  return it->second;
}

constexpr const char* kStep = ".step";
}  // namespace

std::map<std::string, torch::Tensor> AdamW::state() {
  std::map<std::string, torch::Tensor> state;
  for (const auto& [suffix, member] : kEntries) {
    std::vector<torch::Tensor> own, whole;
    for (size_t i = 0; i < slots_.size(); ++i) {
      const torch::Tensor& kept = slots_[i].*member;
      const bool here = kept.defined() && ranks().first();
      own.push_back(kept.defined() ? kept : torch::zeros_like(slots_[i].exp_avg));
      const bool all_kept = !shards_state();
      whole.push_back(!here      ? torch::Tensor()
                      : all_kept ? kept
                                 : torch::empty({parameters_[i].numel()}, kept.scalar_type()));
    }
    if (shards_state()) shards_->all_gather(own, whole);
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (whole[i].defined()) state[parameters_[i].name + suffix] = whole[i].view(slots_[i].shape);
    }
  }
  for (size_t i = 0; i < slots_.size() && ranks().first(); ++i)
    state[parameters_[i].name + kStep] = slots_[i].step;
  return state;
}

// The largest magnitude is finite when all are: one pass, nothing of their size is made.
bool AdamW::is_finite() const {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> all;
  for (const Slot& slot : slots_) {
    for (const torch::Tensor& tensor : {slot.own, slot.master, slot.exp_avg, slot.exp_avg_sq})
      if (tensor.defined() && tensor.numel() > 0) all.push_back(tensor);
  }
  bool finite = true;
  if (!all.empty()) {
    std::vector<torch::Tensor> largest;
    for (torch::Tensor& one : at::_foreach_norm(all, std::numeric_limits<double>::infinity()))
      largest.push_back(one.to(torch::kFloat));
    finite = torch::isfinite(torch::stack(largest)).all().item<bool>();
  }
  return ranks().sum(finite ? 0.0 : 1.0) == 0;
}

void AdamW::load_state(const std::map<std::string, torch::Tensor>& state) {
  const torch::NoGradGuard no_grad;
  // All is checked before anything is copied: a refused state leaves this object as it was.
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies;  // to, from
  std::set<std::string> known;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    Slot& slot = slots_[i];
    known.insert(name + kStep);
    copies.emplace_back(slot.step, find_entry(state, name + kStep, {}));
    for (const auto& [suffix, member] : kEntries) {
      if (!(slot.*member).defined()) continue;
      known.insert(name + suffix);
      const torch::Tensor& saved = find_entry(state, name + suffix, slot.shape);
      copies.emplace_back(slot.*member,
                          saved.reshape({-1}).narrow(0, slot.kept.begin, slot.kept.size()));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (known.contains(name)) continue;
    throw Error(ErrorKind::kCheckpoint, "the optimizer state has an entry that nothing here needs",
                name, "resume with the freezing options and dtype of the run that saved it");
  }
  for (auto& [to, from] : copies) to.copy_(from);
}

}  // namespace streamo::optim
