// Parameters to and from the parts that a rank updates.
#include "parallel/flat_parameters.h"

#include <algorithm>
#include <numeric>

#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using torch::Tensor;

std::vector<model::NamedParameter> trained_ones(std::vector<model::NamedParameter> parameters) {
  std::erase_if(parameters, [](const auto& each) { return !each.tensor.requires_grad(); });
  if (parameters.empty()) {
    throw core::Error(core::ErrorKind::kConfig,
                      "every parameter is frozen, there is nothing to train",
                      "model.freeze_vision, model.freeze_merger, model.freeze_language",
                      "set one of them to false");
  }
  return parameters;
}

std::vector<size_t> indices(size_t count) {
  std::vector<size_t> indices(count);
  std::iota(indices.begin(), indices.end(), size_t{0});
  return indices;
}

}  // namespace

FlatParameters::FlatParameters(std::vector<model::NamedParameter> parameters, Sharding sharding)
    : sharding_(std::move(sharding)),
      named_(trained_ones(std::move(parameters))),
      all_(subset(indices(named_.size()))),
      had_grad_(named_.size()) {
  for (size_t i = 0; i < size(); ++i) parts_.push_back(make_part(i));
}

ParameterPart FlatParameters::make_part(size_t i) {
  const model::NamedParameter& parameter = named_[i];
  // A sum of bf16 gradients over many micro-batches would lose the small ones.
  if (parameter.tensor.scalar_type() != torch::kFloat)
    parameter.tensor.set_grad_dtype(torch::kFloat);
  Tensor value = parameter.tensor.detach();
  if (parameter.rows.defined()) value = value.index_select(0, parameter.rows);
  whole_.push_back(value.view({-1}));
  const auto range = sharded() ? all_.shards.own(i) : FlatShards::Range{0, parameter.numel()};
  return {.values = whole_[i].narrow(0, range.begin, range.size()),
          .range = range,
          .shape = value.sizes().vec()};
}

void FlatParameters::keep_part(size_t i, Tensor values) {
  parts_[i].values = std::move(values);
  whole_[i].reset();
}

FlatParameters::Subset FlatParameters::subset(std::vector<size_t> members,
                                              int64_t bucket_numel) const {
  std::vector<int64_t> numels;
  for (const size_t i : members) numels.push_back(named_[i].numel());
  return {std::move(members), FlatShards(sharding_.groups, std::move(numels), bucket_numel)};
}

torch::TensorOptions FlatParameters::fp32_like(size_t i) const {
  return parts_[i].values.options().dtype(torch::kFloat);
}

Tensor FlatParameters::pop_grad(size_t i) {
  Tensor gradient = named_[i].tensor.grad();
  if (!gradient.defined()) return gradient;
  note_grad(i);
  named_[i].tensor.mutable_grad().reset();
  if (named_[i].rows.defined()) gradient = gradient.index_select(0, named_[i].rows);
  return gradient.reshape({-1});
}

Gradients FlatParameters::finish(std::vector<Tensor> sums) {
  sums.resize(size());
  const std::vector<double> ranks_with_grad = sharding_.ranks->sum(had_grad_);
  std::fill(had_grad_.begin(), had_grad_.end(), 0.0);
  for (size_t i = 0; i < size(); ++i) {
    // Zeros were summed then. They are no gradient: an optimizer would decay by them.
    if (ranks_with_grad[i] == 0) sums[i].reset();
  }
  if (!alone() && !sharded()) return all_gather_grads(std::move(sums));
  return {.values = sums, .owned = sums};
}

Gradients FlatParameters::all_gather_grads(std::vector<Tensor> owned) const {
  std::vector<Tensor> whole(size());
  for (size_t i = 0; i < size(); ++i) {
    if (owned[i].defined()) {
      whole[i] = torch::empty({named_[i].numel()}, fp32_like(i));
    } else {
      owned[i] = torch::zeros({all_.shards.own(i).size()}, fp32_like(i));
    }
  }
  all_.shards.all_gather(owned, whole);
  Gradients gradients{.values = std::move(whole), .owned = std::vector<Tensor>(size())};
  for (size_t i = 0; i < size(); ++i) {
    const FlatShards::Range own = all_.shards.own(i);
    if (gradients.values[i].defined())
      gradients.owned[i] = gradients.values[i].narrow(0, own.begin, own.size());
  }
  return gradients;
}

void FlatParameters::all_gather_params(const Subset& subset, const Gradients& gradients) {
  std::vector<Tensor> own, whole;
  for (const size_t i : subset.members) {
    own.push_back(parts_[i].values);
    whole.push_back(gradients.values[i].defined() ? whole_[i] : Tensor());
  }
  subset.shards.all_gather(own, whole);
}

void FlatParameters::write_rows(const Gradients& gradients) {
  for (size_t i = 0; i < size(); ++i) {
    if (!named_[i].rows.defined() || !gradients.values[i].defined()) continue;
    named_[i].tensor.index_copy_(0, named_[i].rows, whole_[i].view(parts_[i].shape));
  }
}

std::vector<Tensor> FlatParameters::gather(const std::vector<Tensor>& values) const {
  std::vector<Tensor> own, whole(size());
  for (size_t i = 0; i < size(); ++i) {
    own.push_back(values[i].defined() ? values[i]
                                      : torch::zeros({parts_[i].range.size()}, fp32_like(i)));
    if (!values[i].defined() || !sharding_.ranks->first()) continue;
    whole[i] = sharded() ? torch::empty({named_[i].numel()}, torch::kFloat) : values[i];
  }
  if (sharded()) all_.shards.all_gather(own, whole);
  for (size_t i = 0; i < size(); ++i) {
    if (whole[i].defined()) whole[i] = whole[i].view(parts_[i].shape);
  }
  return whole;
}

}  // namespace streamo::parallel
