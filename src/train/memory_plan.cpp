#include "streamo/train/memory_plan.h"

#include <algorithm>
#include <bit>

#include "model_setup.h"

namespace streamo::train {
namespace {

constexpr double kFloat = 4;  // bytes: gradients, moments and master weights
constexpr double kBucket = dist::FlatShards::kBucketNumel;  // numbers sent at once
constexpr double kLogitRows = 1024;  // held at once, of loss::StreamingLossConfig
constexpr double kLogitCopies = 2;   // logits and their softmax

double numbers_of(const torch::Tensor& tensor) {
  return static_cast<double>(tensor.numel());
}

// Sums of micro-batches that a tree over them holds beside the one that grows.
double tree_levels(const StepShape& step) {
  if (!step.deterministic) return 0;
  return std::bit_width(static_cast<uint64_t>(step.micro_batches)) - 1;
}

// A bucket on its way: what is sent and received, and the sum in fp32.
double bucket_bytes(double numbers, const ParameterCounts& parameters, const StepShape& step) {
  const double bucket = std::min(numbers, std::max(kBucket, parameters.largest));
  const double summed = step.bytes_each < kFloat ? kFloat : kFloat / 2;
  return bucket * (2 * step.bytes_each + summed);
}

double loss_bytes(const ParameterCounts& parameters, const StepShape& step) {
  const double vocabulary = parameters.head / step.hidden_size;
  const double logits =
      std::min(kLogitRows, step.supervised_tokens) * vocabulary * kLogitCopies * kFloat;
  // The rows that predict, their gradient, and that of all tokens; the head's own gradient.
  const double rows =
      (2 * step.supervised_tokens + step.tokens) * step.hidden_size * step.bytes_each;
  return rows + logits + parameters.head * kFloat;
}

}  // namespace

ParameterCounts count_parameters(const RunConfig& config, model::VisionLanguageModel& model,
                                 const text::SpecialTokens& special) {
  ParameterCounts counts;
  for (const NamedParameter& parameter : named_parameters(config, model, special)) {
    const double numbers = numbers_of(parameter.tensor);
    counts.all += numbers;
    if (is_frozen(config.model, model.part_of(parameter.name))) continue;
    counts.trained += numbers;
    counts.updated += static_cast<double>(parameter.numel());
    counts.largest = std::max(counts.largest, numbers);
  }
  for (const model::Block& block : model.blocks()) {
    double numbers = 0;
    for (const torch::Tensor& parameter : block.parameters) numbers += numbers_of(parameter);
    const bool is_trained = !is_frozen(config.model, block.part);
    counts.blocks += numbers;
    counts.largest_block = std::max(counts.largest_block, numbers);
    if (is_trained) counts.trained_blocks += numbers;
    // Some rows of the embedding are always trained, in front of the decoder.
    if (is_trained || block.part != model::Part::kVision) counts.with_backward += numbers;
  }
  counts.head = numbers_of(model.lm_head_weight());
  return counts;
}

MemoryPlan plan_memory(const ParameterCounts& parameters, const StepShape& step) {
  const bool alone = step.ranks == 1, full = step.shard == "full" && !alone;
  const bool shards_state = !alone && step.shard != "none";
  const double ranks = step.ranks, each = step.bytes_each;
  // Master weights beside bf16 ones, and two moments.
  const double state = parameters.updated * (2 * kFloat + (each < kFloat ? kFloat : 0));

  MemoryPlan plan;
  plan.weights = parameters.all * each;
  plan.gradients = parameters.trained * kFloat * (1 + tree_levels(step));
  plan.optimizer = shards_state ? state / ranks : state;
  if (full) {
    const double block = parameters.largest_block;
    plan.weights -= parameters.blocks * each * (1 - 1 / ranks);
    plan.gradients /= ranks;
    // This block and the next whole, and the next one on its way; of a block's gradients one whole
    // and one on its way. What is of no block has whole gradients, until the micro-batch ends.
    plan.blocks_at_work = block * (3 * each + kFloat + 2 * each + kFloat) +
                          (parameters.trained - parameters.trained_blocks) * kFloat;
  }
  plan.activations = (step.activations.kept + step.activations.working) * each +
                     step.activations.pixels * kFloat +
                     (each < kFloat ? step.activations.pixels * each : 0);
  plan.loss = loss_bytes(parameters, step);
  plan.gradients_before_last = step.micro_batches > 1;
  if (!alone) {
    plan.exchange =
        bucket_bytes(parameters.updated - (full ? parameters.trained_blocks : 0), parameters, step);
    if (!shards_state) plan.exchange += parameters.updated * kFloat / ranks;
    if (shards_state) plan.saving = state + (full ? parameters.blocks * each * (1 - 1 / ranks) : 0);
  }
  return plan;
}

double MemoryPlan::computing() const {
  const double held = gradients_before_last ? gradients + activations + loss
                                            : std::max(gradients, activations + loss);
  return weights + blocks_at_work + optimizer + held;
}
double MemoryPlan::updating() const {
  return weights + optimizer + gradients + exchange;
}
double MemoryPlan::checkpoint() const {
  return weights + optimizer + saving;
}
double MemoryPlan::peak() const {
  return std::max({computing(), updating(), checkpoint()});
}

double plan_traffic(const ParameterCounts& parameters, const StepShape& step) {
  const double others = 1 - 1.0 / step.ranks, each = step.bytes_each;
  // Gradients to whoever owns a part; then the new values, or the summed gradients in fp32.
  if (step.shard != "full") {
    const double back = step.shard == "none" ? kFloat : each;
    return parameters.updated * (each + back) * others;
  }
  const double gathered = parameters.blocks + parameters.with_backward;
  const double of_micro_batch = gathered + parameters.trained;
  const double of_step = parameters.trained - parameters.trained_blocks;
  return (of_micro_batch * static_cast<double>(step.micro_batches) + of_step) * each * others;
}

}  // namespace streamo::train
