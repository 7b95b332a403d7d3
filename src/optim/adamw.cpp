// The update is LibTorch's fused kernel; what is here is the bookkeeping around it: master weights,
// gradient reduction over the ranks, sharded state, and a norm that is bitwise reproducible.
#include "optim/adamw.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <regex>

#include "core/suggest.h"
#include "parallel/gradient_exchange.h"
#include "parallel/sharded_blocks.h"
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

constexpr int64_t kBlock = parallel::FlatShards::kGranule;

// Sums of squares of each kBlock numbers in double, the last block filled with zeros: [blocks]. By
// halves, since the order of a library's sum depends on the shape.
torch::Tensor block_squares(const torch::Tensor& values) {
  const int64_t blocks = (values.numel() + kBlock - 1) / kBlock;
  const torch::Tensor sums = torch::empty({blocks}, torch::kDouble);
  constexpr int64_t kBlocksAtOnce = 4096;  // bounds the copy in double
  for (int64_t first = 0; first < blocks; first += kBlocksAtOnce) {
    const int64_t count = std::min(kBlocksAtOnce, blocks - first);
    const int64_t numel = std::min(count * kBlock, values.numel() - first * kBlock);
    torch::Tensor squares = torch::zeros({count * kBlock}, torch::kDouble);
    squares.narrow(0, 0, numel).copy_(values.narrow(0, first * kBlock, numel));
    squares = squares.square_().view({count, kBlock});
    for (int64_t half = kBlock / 2; half > 0; half /= 2)
      squares = squares.narrow(1, 0, half) + squares.narrow(1, half, half);
    sums.narrow(0, first, count).copy_(squares.squeeze(1));
  }
  return sums;
}

}  // namespace

bool decays(const std::string& rule, const std::string& name, int64_t dimensions) {
  if (rule == "matrices") return dimensions >= 2;
  if (rule == "all") return true;
  if (rule == "transformers") return !is_norm_or_bias_by_name(name);
  throw Error(ErrorKind::kConfig, "unknown weight decay rule \"" + rule + "\"", "optim.decay",
              core::suggestion(rule, {"matrices", "all", "transformers"}));
}

AdamW::AdamW(std::vector<NamedParameter> parameters, AdamWConfig config, RankSharing sharing)
    : sharing_(std::move(sharing)), config_(std::move(config)) {
  for (NamedParameter& parameter : parameters) {
    if (parameter.tensor.requires_grad()) parameters_.push_back(std::move(parameter));
  }
  if (parameters_.empty()) {
    throw Error(ErrorKind::kConfig, "every parameter is frozen, there is nothing to train",
                "model.freeze_vision, model.freeze_merger, model.freeze_language",
                "set one of them to false");
  }
  if (!alone()) {
    std::vector<int64_t> numels;
    for (const NamedParameter& parameter : parameters_) numels.push_back(parameter.numel());
    shards_ = std::make_unique<parallel::FlatShards>(sharing_.groups, std::move(numels));
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    slots_.push_back(make_slot(i));
    groups_.insert(group_of(i));
  }
  if (sharing_.blocks) {
    std::vector<int64_t> numels;
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (!slots_[i].values.defined()) continue;
      whole_parameters_.push_back(i);
      numels.push_back(slots_[i].values.numel());
    }
    whole_shards_ = std::make_unique<parallel::FlatShards>(sharing_.groups, std::move(numels));
  }
  present_.resize(slots_.size());
  if (alone() || sharing_.blocks || sharing_.deterministic || sharing_.model == nullptr) return;
  std::vector<parallel::GradientExchange::Parameter> exchanged;
  for (const NamedParameter& parameter : parameters_)
    exchanged.push_back({parameter.tensor, parameter.numel()});
  exchange_ = std::make_unique<parallel::GradientExchange>(
      sharing_.groups, *sharing_.model, exchanged, parameters_.front().tensor.scalar_type(),
      [this](size_t i) { return take_gradient(i); });
}

AdamW::~AdamW() = default;

void AdamW::begin_last_micro_batch() {
  if (exchange_) exchange_->begin_last_micro_batch();
}

void AdamW::send_gradients() {
  if (exchange_) exchange_->send_all();
}

AdamW::Slot AdamW::make_slot(size_t i) const {
  const NamedParameter& parameter = parameters_[i];
  Slot slot;
  slot.decay = decays(config_.decay, parameter.name, parameter.tensor.dim());
  if (parameter.tensor.scalar_type() != torch::kFloat)
    parameter.tensor.set_grad_dtype(torch::kFloat);
  slot.kept = shards_state() ? shards_->own(i) : parallel::FlatShards::Range{0, parameter.numel()};
  slot.shape = parameter.tensor.sizes().vec();
  const bool all_rows = !parameter.rows.defined();
  if (sharing_.blocks) slot.own = sharing_.blocks->own_part(parameter.tensor);
  if (!slot.own.defined()) {
    torch::Tensor value = parameter.tensor.detach();
    if (!all_rows) value = value.index_select(0, parameter.rows);
    slot.shape = value.sizes().vec();
    slot.values = value.view({-1});
    slot.own = slot.values.narrow(0, slot.kept.begin, slot.kept.size());
  }
  if (!all_rows || slot.own.scalar_type() != torch::kFloat)
    slot.master = slot.own.to(torch::kFloat, /*non_blocking=*/false, /*copy=*/true);
  slot.exp_avg = torch::zeros_like(slot.own, slot.own.options().dtype(torch::kFloat));
  slot.exp_avg_sq = torch::zeros_like(slot.exp_avg);
  slot.step = torch::zeros({}, slot.exp_avg.options());
  return slot;
}

void AdamW::end_micro_batch() {
  if (!sharing_.deterministic && !sharing_.blocks) return;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  if (sharing_.blocks) {
    gradients = sum_micro_batch();
  } else {
    for (size_t i = 0; i < slots_.size(); ++i) gradients.push_back(take_gradient(i));
  }
  if (sharing_.deterministic) {
    tree_.add(std::move(gradients));
  } else if (sums_.empty()) {
    sums_ = std::move(gradients);
  } else {
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i].add_(gradients[i]);
  }
}

// This rank's parts of the sums over the ranks, of a micro-batch of each.
std::vector<torch::Tensor> AdamW::sum_micro_batch() {
  std::vector<torch::Tensor> sums(slots_.size()), whole;
  sharing_.blocks->end_micro_batch();
  for (const size_t i : whole_parameters_) {
    whole.push_back(take_gradient(i));
  }
  whole = whole_shards_->reduce_scatter(std::move(whole), parameters_.front().tensor.scalar_type());
  for (size_t i = 0; i < whole.size(); ++i) sums[whole_parameters_[i]] = whole[i].to(torch::kFloat);
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].values.defined()) continue;
    auto [sum, on_this_rank] = sharing_.blocks->take_gradient(parameters_[i].tensor);
    sums[i] = std::move(sum);
    if (on_this_rank) present_[i] = 1;
  }
  return sums;
}

torch::Tensor AdamW::take_gradient(size_t parameter) {
  NamedParameter& named = parameters_[parameter];
  torch::Tensor gradient = named.tensor.grad();
  if (!gradient.defined()) return gradient;
  present_[parameter] = 1;
  if (named.rows.defined()) gradient = gradient.index_select(0, named.rows);
  // What is summed further must not add to the next micro-batch; where all is done, clipping in
  // place is seen in .grad(), as it is in torch.
  if (named.rows.defined() || sharing_.deterministic || !alone())
    named.tensor.mutable_grad().reset();
  return gradient.reshape({-1});
}

void AdamW::collect() {
  if (collected_) return;
  collected_ = true;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients = sum_over_ranks();
  gradients.resize(slots_.size());
  const std::vector<double> present = ranks().sum(present_);
  std::fill(present_.begin(), present_.end(), 0.0);
  for (size_t i = 0; i < slots_.size(); ++i) {
    // A sum over ranks none of which had a gradient is no gradient.
    if (present[i] > 0) slots_[i].gradient = std::move(gradients[i]);
  }
}

// Where they are not summed already, micro-batch by micro-batch.
std::vector<torch::Tensor> AdamW::sum_over_ranks() {
  if (exchange_) {
    exchange_->send_all();
    return exchange_->receive_all();
  }
  std::vector<torch::Tensor> gradients =
      sharing_.deterministic ? tree_.take() : std::exchange(sums_, {});
  if (sharing_.blocks) return gradients;
  if (gradients.empty()) {  // summed by autograd
    for (size_t i = 0; i < slots_.size(); ++i) gradients.push_back(take_gradient(i));
  }
  if (alone()) return gradients;
  return shards_->reduce_scatter(std::move(gradients), parameters_.front().tensor.scalar_type());
}

std::vector<torch::Tensor> AdamW::gradients() const {
  std::vector<torch::Tensor> gradients;
  for (const Slot& slot : slots_) {
    if (slot.gradient.defined() && slot.gradient.numel() > 0) gradients.push_back(slot.gradient);
  }
  return gradients;
}

double AdamW::clip_grad_norm(double max_norm) {
  const torch::NoGradGuard no_grad;
  collect();
  const std::vector<torch::Tensor> grads = gradients();
  double norm = 0.0;
  if (sharing_.deterministic) {
    norm = std::sqrt(squared_norm_in_order());
  } else {
    if (!grads.empty()) norm = torch::stack(at::_foreach_norm(grads, 2)).norm().item<double>();
    if (!alone()) norm = std::sqrt(sharing_.groups.inside->sum(norm * norm));
  }
  // The small constant is torch's own, kept so that a clipped run equals a PyTorch one.
  const double scale = max_norm / (norm + 1e-6);
  if (max_norm > 0 && std::isfinite(norm) && scale < 1.0 && !grads.empty())
    at::_foreach_mul_(grads, scale);
  return norm;
}

// The blocks of all parts in the order of the parameters' numbers. What fills up the last parts is
// zero, and adding zero changes nothing.
double AdamW::squared_norm_in_order() const {
  parallel::Ranks& group = *sharing_.groups.inside;
  std::vector<int64_t> counts;  // blocks of a part
  for (size_t i = 0; i < slots_.size(); ++i) {
    const int64_t part = shards_ ? shards_->part(i) : slots_[i].values.numel();
    counts.push_back((part + kBlock - 1) / kBlock);
  }
  const torch::Tensor own =
      torch::zeros({std::accumulate(counts.begin(), counts.end(), int64_t{0})}, torch::kDouble);
  int64_t column = 0;
  for (size_t i = 0; i < slots_.size(); column += counts[i++]) {
    if (!slots_[i].gradient.defined()) continue;
    const torch::Tensor squares = block_squares(slots_[i].gradient);
    own.narrow(0, column, squares.numel()).copy_(squares);
  }
  const torch::Tensor all = group.all_gather(own);
  const auto squares = all.accessor<double, 2>();
  double sum = 0.0;
  column = 0;
  for (const int64_t count : counts) {
    for (int rank = 0; rank < group.size(); ++rank) {
      for (int64_t block = 0; block < count; ++block) sum += squares[rank][column + block];
    }
    column += count;
  }
  return sum;
}

void AdamW::step(double lr) {
  const torch::NoGradGuard no_grad;
  collect();
  if (!alone() && !shards_state()) complete_gradients();
  for (const Group& group : groups_) update(group, lr);
  publish_values();
  for (Slot& slot : slots_) slot.gradient.reset();
  collected_ = false;
}

// Every rank receives the others' parts.
void AdamW::complete_gradients() {
  std::vector<torch::Tensor> own, whole;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto options = slot.exp_avg.options();
    const bool present = slot.gradient.defined();
    own.push_back(present ? slot.gradient : torch::zeros({shards_->own(i).size()}, options));
    whole.push_back(present ? torch::empty({slot.values.numel()}, options) : torch::Tensor());
  }
  shards_->all_gather(own, whole);
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].gradient = std::move(whole[i]);
}

AdamW::Group AdamW::group_of(size_t parameter) const {
  return {slots_[parameter].decay, parameters_[parameter].lr_scale};
}

void AdamW::update(const Group& group, double lr) {
  const auto [decay, lr_scale] = group;
  std::vector<torch::Tensor> weights, grads, exp_avgs, exp_avg_sqs, steps, rounded, masters;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (group_of(i) != group || !slot.gradient.defined()) continue;
    slot.step.add_(1);
    if (slot.kept.size() == 0) continue;
    weights.push_back(slot.master.defined() ? slot.master : slot.own);
    grads.push_back(slot.gradient);
    exp_avgs.push_back(slot.exp_avg);
    exp_avg_sqs.push_back(slot.exp_avg_sq);
    steps.push_back(slot.step);
    if (slot.master.defined()) {
      rounded.push_back(slot.own);
      masters.push_back(slot.master);
    }
  }
  if (weights.empty()) return;
  at::_fused_adamw_(weights, grads, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps,
                    lr * lr_scale, config_.beta1, config_.beta2, decay ? config_.weight_decay : 0.0,
                    config_.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  if (!rounded.empty()) at::_foreach_copy_(rounded, masters);
}

// The new values reach the other ranks, and the rows of partly trained parameters their place.
void AdamW::publish_values() {
  if (shards_state()) {
    std::vector<torch::Tensor> own, whole;
    for (const Slot& slot : slots_) {
      if (!slot.values.defined()) continue;  // gathered where a block uses it
      own.push_back(slot.own);
      whole.push_back(slot.gradient.defined() ? slot.values : torch::Tensor());
    }
    (whole_shards_ ? *whole_shards_ : *shards_).all_gather(own, whole);
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    NamedParameter& parameter = parameters_[i];
    if (!parameter.rows.defined() || !slots_[i].gradient.defined()) continue;
    parameter.tensor.index_copy_(0, parameter.rows, slots_[i].values.view(slots_[i].shape));
  }
}

void AdamW::zero_grad() {
  for (NamedParameter& parameter : parameters_) parameter.tensor.mutable_grad().reset();
  for (Slot& slot : slots_) slot.gradient.reset();
  tree_.clear();
  sums_.clear();
  if (exchange_ && exchange_->all_sent()) exchange_->receive_all();
  std::fill(present_.begin(), present_.end(), 0.0);
  collected_ = false;
}

}  // namespace streamo::optim
