// The step's gradients on their way to the ranks that update with them, while the last backward
// pass goes on: a block's are sent as soon as they are complete.
//
// All ranks send in one order, the blocks from the last to the first and then what is in none of
// them. A rank that comes to a block later than others (or has no work in it, or no micro-batch at
// all) sends it then, or in send_all().
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "parallel/flat_shards.h"
#include "parallel/ranks.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/nn/block_hooks.h"

namespace streamo::parallel {

class GradientExchange final : public nn::BlockHooks {
 public:
  // A message is a copy of gradients, and so is what is received: two of them at a time keep the
  // network busy, more would only take memory.
  static constexpr size_t kUnderWay = 2;

  struct Parameter {
    torch::Tensor tensor;
    int64_t numel = 0;  // of what is trained of it
  };
  // take(i): the gradient of parameter i [numel], which is the exchange's from then on; undefined:
  // this rank has none. `model` must outlive this.
  GradientExchange(const parallel::ShardGroups& groups, model::VisionLanguageModel& model,
                   const std::vector<Parameter>& parameters, torch::ScalarType traffic,
                   std::function<torch::Tensor(size_t)> take);
  ~GradientExchange() override;
  GradientExchange(const GradientExchange&) = delete;
  GradientExchange& operator=(const GradientExchange&) = delete;

  // The next backward pass is this rank's last of the step.
  void begin_last_micro_batch() { sending_ = true; }
  // Collective. What has not been sent yet.
  void send_all();
  bool all_sent() const { return sent_ == messages_.size(); }
  // Collective, behind send_all(). By parameter: this rank's part of the sum over all ranks, fp32.
  std::vector<torch::Tensor> receive_all();

  void before_forward(size_t /*block*/) override {}
  void after_forward(size_t /*block*/) override {}
  void before_backward(size_t block) override;

 private:
  struct Message {  // of one block, or of what is in none
    std::vector<size_t> parameters;
    parallel::FlatShards shards;
  };
  struct UnderWay {
    size_t message;
    parallel::FlatShards::Pending pending;
  };
  void send_next();
  void receive_oldest();

  model::VisionLanguageModel& model_;
  torch::ScalarType traffic_;
  std::function<torch::Tensor(size_t)> take_;
  std::vector<Message> messages_;          // in the order in which they are sent
  std::vector<size_t> complete_messages_;  // by block: how many, once its backward pass begins
  size_t sent_ = 0;
  bool sending_ = false;
  std::deque<UnderWay> under_way_;
  std::vector<torch::Tensor> sums_;
};

}  // namespace streamo::parallel
