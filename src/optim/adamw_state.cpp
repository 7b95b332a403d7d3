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

std::map<std::string, torch::Tensor> AdamW::state(const parallel::GradientReducer& reducer) const {
  std::map<std::string, torch::Tensor> state;
  for (const auto& [suffix, member] : kEntries) {
    std::vector<torch::Tensor> parts;
    for (const Slot& slot : slots_) parts.push_back(slot.*member);
    const std::vector<torch::Tensor> whole = reducer.gather_parts(parts);
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (!whole[i].defined()) continue;
      state[slots_[i].name + suffix] = whole[i];
      state[slots_[i].name + kStep] = slots_[i].step;
    }
  }
  return state;
}

// The largest magnitude is finite when all are: one pass, nothing of their size is made.
bool AdamW::is_finite() const {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> all;
  for (const Slot& slot : slots_) {
    for (const torch::Tensor& tensor :
         {slot.part.values, slot.master, slot.exp_avg, slot.exp_avg_sq})
      if (tensor.defined() && tensor.numel() > 0) all.push_back(tensor);
  }
  if (all.empty()) return true;
  std::vector<torch::Tensor> largest;
  for (torch::Tensor& one : at::_foreach_norm(all, std::numeric_limits<double>::infinity()))
    largest.push_back(one.to(torch::kFloat));
  return torch::isfinite(torch::stack(largest)).all().item<bool>();
}

void AdamW::load_state(const std::map<std::string, torch::Tensor>& state) {
  const torch::NoGradGuard no_grad;
  // All is checked before anything is copied: a refused state leaves this object as it was.
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies;  // to, from
  std::set<std::string> known;
  for (Slot& slot : slots_) {
    const std::string& name = slot.name;
    const parallel::FlatShards::Range range = slot.part.range;
    known.insert(name + kStep);
    copies.emplace_back(slot.step, find_entry(state, name + kStep, {}));
    for (const auto& [suffix, member] : kEntries) {
      if (!(slot.*member).defined()) continue;
      known.insert(name + suffix);
      const torch::Tensor& saved = find_entry(state, name + suffix, slot.part.shape);
      copies.emplace_back(slot.*member, saved.reshape({-1}).narrow(0, range.begin, range.size()));
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
