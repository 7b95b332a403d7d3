// The trained parameters as flat vectors, of each of which this rank updates a part: what all
// reducers of gradients have in common.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "model/named_parameter.h"
#include "parallel/flat_shards.h"
#include "parallel/ranks.h"
#include "parallel/shard_mode.h"

namespace streamo::parallel {

// What this rank updates of a parameter.
struct ParameterPart {
  torch::Tensor values;        // [range.size()], of the parameter's type: written to in place
  FlatShards::Range range;     // of the flat parameter (of its trained rows): all, or a shard
  std::vector<int64_t> shape;  // of all of it
};

// Of a step, summed over its micro-batches and all ranks. By parameter, fp32, flat; undefined where
// no rank had one.
struct Gradients {
  std::vector<torch::Tensor> values;  // [part] of what this rank updates
  // Views of them, which over the ranks of a shard group have each number once: what a norm is
  // taken of.
  std::vector<torch::Tensor> owned;
};

// How ranks share the work; one who is alone does all of it.
struct Sharding {
  std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>();
  ShardGroups groups = ShardGroups::split(ranks, 0);
  ShardMode mode = ShardMode::kNone;
};

class FlatParameters {
 public:
  // Leaves out what is frozen, and asks autograd for fp32 gradients of the rest. Throws
  // core::Error{kConfig} when nothing is left.
  FlatParameters(std::vector<model::NamedParameter> parameters, Sharding sharding);

  size_t size() const { return named_.size(); }
  const std::vector<model::NamedParameter>& named() const { return named_; }
  const std::vector<ParameterPart>& parts() const { return parts_; }
  const Sharding& sharding() const { return sharding_; }
  bool alone() const { return sharding_.ranks->size() == 1; }
  // Each rank updates its shards alone; else all of them update everything.
  bool sharded() const { return !alone() && traits(sharding_.mode).shards_optimizer; }
  // What gradients are sent as: half the bytes of fp32 where weights are bf16.
  torch::ScalarType dtype() const { return named_.front().tensor.scalar_type(); }

  // Some of the parameters, which are exchanged together.
  struct Subset {
    std::vector<size_t> members;
    FlatShards shards;  // shards.own(i): of parameter members[i]
  };
  Subset subset(std::vector<size_t> members, int64_t bucket_numel = FlatShards::kBucketNumel) const;
  const Subset& all() const { return all_; }
  FlatShards& shards() { return all_.shards; }

  // This rank's part of parameter i is kept elsewhere.
  void keep_part(size_t i, torch::Tensor values);

  // The gradient of parameter i (of its trained rows), flat, out of .grad; undefined: none here.
  torch::Tensor pop_grad(size_t i);
  // The same when somebody else has taken it.
  void note_grad(size_t i) { had_grad_[i] = 1; }
  // Collective. From this rank's shards of the sums to what it updates with.
  Gradients finish(std::vector<torch::Tensor> sums);
  // Collective, for parameters that are whole on each rank: all receive the shards that others
  // updated.
  void all_gather_params(const Subset& subset, const Gradients& gradients);
  // Of parameters trained in some rows: these go back to their place.
  void write_rows(const Gradients& gradients);

  // Collective. values[i]: [part of parameter i], fp32, or undefined on all ranks. On the first
  // rank all of it, in its shape: the tensor itself where a rank has all, else in host memory.
  // Undefined on the others.
  std::vector<torch::Tensor> gather(const std::vector<torch::Tensor>& values) const;

 private:
  Gradients all_gather_grads(std::vector<torch::Tensor> owned) const;
  torch::TensorOptions fp32_like(size_t i) const;
  ParameterPart make_part(size_t i);

  Sharding sharding_;
  std::vector<model::NamedParameter> named_;
  Subset all_;
  std::vector<torch::Tensor> whole_;  // flat: a view of the parameter, or a copy of its rows
  std::vector<ParameterPart> parts_;
  std::vector<double> had_grad_;  // 1: this rank, in this step
};

}  // namespace streamo::parallel
