// From the gradients of each rank's micro-batches to what an optimizer updates with, and from its
// update to the weights that all ranks go on with. One kind a way to shard and to sum:
//
//   LocalReducer          one rank: autograd's own sums
//   OverlappedReducer     DDP and ZeRO-1: reduce-scattered in the last backward pass
//   FullyShardedReducer   ZeRO-3 (FSDP): weights and gradients of the blocks are sharded too
//   DeterministicReducer  DDP and ZeRO-1, the same bits on any number of ranks
//
// A step, the same for all of them:
//
//   reducer.begin_step(micro_batches);
//   for (...) { loss.backward(); reducer.end_micro_batch(); }
//   const Gradients gradients = reducer.reduce();
//   reducer.clip_grad_norm(gradients, max_norm);
//   optimizer.step(gradients.values, lr);  // writes to parts()[i].values
//   reducer.publish(gradients);
//
// A step may end anywhere between begin_step() and reduce() on some rank: reduce() is called all
// the same, as others wait for what it sends, and what it returns is dropped.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/named_parameter.h"
#include "parallel/flat_parameters.h"
#include "parallel/micro_batch_sum.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::parallel {

class GradientReducer {
 public:
  GradientReducer(std::vector<model::NamedParameter> parameters, Sharding sharding, SumOrder order)
      : flat_(std::move(parameters), std::move(sharding)), order_(order) {}
  virtual ~GradientReducer() = default;
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  // The trained parameters in the order given, and of each what this rank updates.
  const std::vector<model::NamedParameter>& parameters() const { return flat_.named(); }
  const std::vector<ParameterPart>& parts() const { return flat_.parts(); }

  // Whether all ranks must make equally many micro-batches, empty ones included, and stop behind
  // the same one: they exchange something in each.
  virtual bool in_lockstep() const { return false; }
  // `micro_batches`: of this rank, in the step that begins.
  virtual void begin_step(int64_t /*micro_batches*/) {}
  // Behind each backward pass, also where there was nothing to compute. Collective in lockstep.
  virtual void end_micro_batch() {}
  // Collective. Takes the gradients out of .grad and sums them over micro-batches and ranks.
  virtual Gradients reduce() = 0;
  // Collective. The 2-norm over all gradients, before clipping. Above `max_norm` they are scaled to
  // it in place, as torch.nn.utils.clip_grad_norm_ does. max_norm 0: only measured. A non-finite
  // norm scales nothing.
  double clip_grad_norm(const Gradients& gradients, double max_norm) const;
  // Collective, behind an update of parts(): all ranks go on with the new values.
  virtual void publish(const Gradients& gradients);

  // Collective. Makes the model's weights whole, on the first rank or on all, until reshard(): to
  // evaluate or export. Between steps only; nothing is to be done unless they are sharded.
  virtual void unshard(bool /*on_all_ranks*/) {}
  virtual void reshard() {}
  // Collective, for saving. Weights that are sharded are put whole into `weights` (by name) on the
  // first rank, in host memory, and taken out of it on the others.
  virtual void gather_weights(std::map<std::string, torch::Tensor>& /*weights*/) const {}
  // Collective, for saving. values[i]: fp32, kept for each number of parts()[i], or undefined on
  // all ranks. On the first rank that of the whole parameter, in its shape: the tensor given where
  // a rank has all, else in host memory. Undefined on the others.
  std::vector<torch::Tensor> gather_parts(const std::vector<torch::Tensor>& values) const {
    return flat_.gather(values);
  }

 protected:
  FlatParameters flat_;
  SumOrder order_;
};

// The kind for this mode, order and number of ranks. `model`: whose parameters they are; must
// outlive it. Throws core::Error{kConfig} when all parameters are frozen.
std::unique_ptr<GradientReducer> make_gradient_reducer(
    std::vector<model::NamedParameter> parameters, model::VisionLanguageModel& model,
    Sharding sharding, SumOrder order);

}  // namespace streamo::parallel
