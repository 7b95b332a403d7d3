// Walks through the moments of a step that can be its peak (forward, loss, backward, reduction,
// update) and adds up what is alive at each.
#include "estimate/memory_estimate.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_set>

#include "loss/streaming_loss.h"
#include "parallel/overlapped_reducer.h"
#include "train/model_setup.h"

namespace streamo::estimate {
namespace {

constexpr double kFloat = 4;        // bytes: gradients, moments and master weights
constexpr double kLogitCopies = 2;  // logits and their softmax
// Sums of blocks at a time.
constexpr double kInFlight = parallel::OverlappedReducer::kMessagesInFlight;

double count_numbers(const torch::Tensor& tensor) {
  return static_cast<double>(tensor.numel());
}

double total_numel(const std::vector<int64_t>& numels) {
  return std::accumulate(numels.begin(), numels.end(), 0.0);
}

// Sums of micro-batches that a tree over them holds beside the one that grows.
double tree_levels(int64_t micro_batches) {
  return std::bit_width(static_cast<uint64_t>(micro_batches)) - 1;
}

// The bytes of a rank at each moment of a step that can be its peak.
class Moments {
 public:
  Moments(const ParameterCounts& parameters, const StepShape& step)
      : parameters_(parameters), step_(step) {}

  bool alone() const { return step_.ranks * step_.groups == 1; }
  const parallel::ShardModeTraits& mode() const { return parallel::traits(step_.shard); }
  bool full() const { return !alone() && mode().shards_blocks; }
  bool shards_state() const { return !alone() && mode().shards_optimizer; }

  double weights() const {
    return (parameters_.all - (full() ? parameters_.blocks * others() : 0)) * each();
  }
  double optimizer() const { return shards_state() ? state() / step_.ranks : state(); }
  // Master weights beside bf16 ones, and two moments.
  double state() const {
    return parameters_.updated * (2 * kFloat + (each() < kFloat ? kFloat : 0));
  }
  double gradients() const { return one_set() * (sets_before() + (makes_set() ? 1 : 0)); }
  double activations() const {
    return std::max({pixel_bytes() + vision_kept() + bytes(vision().forward),
                     pixel_bytes() + kept() + bytes(decoder().forward),
                     kept_pixels() + kept() + bytes(decoder().backward)});
  }
  double loss() const;
  double blocks_in_flight() const;
  double computing() const {
    return std::max({forward(), with_loss(), backward(), sending_blocks(), ending()});
  }
  double updating() const { return weights() + optimizer() + exchange(); }
  double exchange() const;
  double saving() const {
    return shards_state() ? state() + (full() ? parameters_.blocks * each() : 0) : 0;
  }

 private:
  double each() const { return step_.bytes_each; }
  double bytes(double numbers) const { return numbers * each(); }
  double others() const { return 1 - 1.0 / step_.ranks; }

  // Of gradients in fp32: a set is of all parameters, or of this rank's parts of their sums.
  double one_set() const {
    return full() ? kFloat * padded(parameters_.updated_each) / step_.ranks
                  : kFloat * parameters_.trained;
  }
  bool accumulates() const { return !full() && !step_.deterministic && step_.micro_batches > 1; }
  double sets_before() const {  // the last micro-batch
    return step_.deterministic ? tree_levels(step_.micro_batches) : step_.micro_batches > 1 ? 1 : 0;
  }
  bool makes_set() const { return !accumulates(); }  // beside them
  double before() const { return weights() + optimizer() + one_set() * sets_before(); }

  const model::Activations::Stage& vision() const { return step_.activations.vision; }
  const model::Activations::Stage& decoder() const { return step_.activations.decoder; }
  double kept() const { return bytes(vision().kept + decoder().kept); }
  double vision_kept() const { return bytes(vision().kept); }
  double pixel_bytes() const {
    return step_.activations.pixels * (kFloat + (each() < kFloat ? each() : 0));
  }
  double kept_pixels() const {
    return step_.activations.keeps_pixels ? bytes(step_.activations.pixels) : 0;
  }
  double token_gradient() const { return bytes(step_.tokens * step_.hidden_size); }

  // Numbers in messages: each parameter in parts of one length.
  double padded(const std::vector<int64_t>& numels) const;
  double largest_bucket(const std::vector<int64_t>& numels) const;
  double gathered(double numbers) const {  // what is sent and received
    return numbers * (1.0 / step_.ranks + 1 + step_.gather_copies);
  }
  double sent(double numbers) const { return 2 * bytes(numbers); }  // to be summed, and received
  double added_up(double numbers) const;
  double summed(double own, double sent_numbers) const;

  // `full`: a block that is whole, and the next one under way.
  double block() const { return bytes(parameters_.largest_block); }
  double next_block() const { return bytes(gathered(padded(parameters_.block_each))); }
  double trained_block() const { return total_numel(parameters_.trained_block_each); }
  double largest_gradient() const;  // of one parameter, beside those it is added to
  double head_gradient() const { return makes_set() ? kFloat * parameters_.head : 0; }

  double forward() const;
  double with_loss() const;
  double backward() const;
  double sending_blocks() const;
  double ending() const;

  const ParameterCounts& parameters_;
  const StepShape& step_;
};

double Moments::padded(const std::vector<int64_t>& numels) const {
  const int64_t granule = parallel::FlatShards::kGranule * step_.ranks;
  double numbers = 0;
  for (const int64_t numel : numels)
    numbers += static_cast<double>((numel + granule - 1) / granule * granule);
  return numbers;
}

// As parallel::FlatShards makes them.
double Moments::largest_bucket(const std::vector<int64_t>& numels) const {
  double bucket = 0, largest = 0;
  for (const int64_t numel : numels) {
    const double numbers = padded({numel});
    if (bucket + numbers > static_cast<double>(parallel::FlatShards::kBucketNumel)) bucket = 0;
    bucket += numbers;
    largest = std::max(largest, bucket);
  }
  return largest;
}

// Received rows are added in pairs, then the pairs; those of bf16 in fp32. What groups exchange of
// their sums is less, and comes when these are gone.
double Moments::added_up(double numbers) const {
  const int pairs = step_.ranks / 2, next_pairs = (step_.ranks + 1) / 2 / 2;
  const double sums = static_cast<double>(pairs) / step_.ranks * kFloat;
  const double next = static_cast<double>(next_pairs) / step_.ranks * kFloat;
  return numbers * std::max(sums + next, each() < kFloat ? kFloat + sums : 0);
}

// While gradients of `own` numbers become the message that is summed.
double Moments::summed(double own, double sent_numbers) const {
  return std::max(kFloat * own + bytes(sent_numbers), sent(sent_numbers) + added_up(sent_numbers));
}

double Moments::largest_gradient() const {
  const auto& block = parameters_.trained_block_each;
  return block.empty()
             ? 0
             : kFloat * static_cast<double>(*std::max_element(block.begin(), block.end()));
}

double Moments::loss() const {
  const double vocabulary = parameters_.head / step_.hidden_size;
  const auto logit_rows = static_cast<double>(loss::StreamingLossConfig().chunk_rows);
  const double logits =
      std::min(logit_rows, step_.supervised_tokens) * vocabulary * kLogitCopies * kFloat;
  const double rows = bytes(2 * step_.supervised_tokens * step_.hidden_size);  // and their gradient
  return rows + logits + parameters_.head * kFloat;
}

// A block whole, the next one's parts under way; one block's gradients on their way as well.
double Moments::blocks_in_flight() const {
  if (!full()) return 0;
  return block() + next_block() + sent(padded(parameters_.trained_block_each));
}

double Moments::forward() const {
  const double held = before() + pixel_bytes() + vision_kept() + (full() ? block() : 0);
  const double next = full() ? next_block() : 0;  // of the last block there is none
  return held + std::max({bytes(vision().forward) + next, bytes(decoder().kept + decoder().forward),
                          bytes(decoder().kept - decoder().of_block + decoder().forward) + next});
}

double Moments::with_loss() const {
  return before() + kept_pixels() + kept() + loss() + (full() ? block() : 0);
}

double Moments::backward() const {
  const double held = before() + kept_pixels();
  const double first =
      held + kept() + bytes(decoder().backward) + largest_gradient() + head_gradient();
  // When the decoder is done.
  const double seeing =
      held + vision_kept() + bytes(vision().backward) +
      (makes_set() ? one_set() * (1 - parameters_.trained_vision_blocks / parameters_.updated) : 0);
  if (!full()) return std::max(first, seeing);
  const double block_sent = sent(padded(parameters_.trained_block_each));
  // Behind the first block's backward pass; and when the second's gradients are complete.
  const double second = first - bytes(decoder().of_block) + block_sent;
  const double complete = held + kept() - bytes(2 * decoder().of_block) + token_gradient() +
                          kFloat * trained_block() + block_sent +
                          added_up(padded(parameters_.trained_block_each)) + head_gradient();
  const double outside = kFloat * (parameters_.trained - parameters_.trained_blocks);
  const auto& vision_block = parameters_.vision_block_each;
  const double vision_blocks =
      bytes(total_numel(vision_block)) + bytes(gathered(padded(vision_block)));
  return std::max(block() + next_block() + std::max({first, second, complete}),
                  seeing + outside + block_sent + vision_blocks);
}

// In the last backward pass the blocks' gradients go out, two blocks' at a time.
double Moments::sending_blocks() const {
  if (alone() || full() || step_.deterministic) return 0;
  const double message = padded(parameters_.trained_block_each);
  const double gone = accumulates() ? kInFlight * kFloat * trained_block() : 0;
  const double held = before() + kept_pixels() + kept() - bytes(kInFlight * decoder().of_block) +
                      kInFlight * sent(message) - gone + head_gradient();
  return held + std::max(bytes(decoder().backward) + largest_gradient(),
                         token_gradient() + added_up(message));
}

// Behind the last backward pass, until all gradients are summed.
double Moments::ending() const {
  const double held = weights() + optimizer(), all = held + gradients();
  if (alone()) return all;
  const double outside = total_numel(parameters_.outside_each);
  if (full()) {
    const double bucket = largest_bucket(parameters_.outside_each);
    return all + kFloat * outside +
           std::max(bytes(bucket), sent(bucket) + added_up(bucket) - kFloat * bucket);
  }
  if (step_.deterministic) {
    const double bucket = largest_bucket(parameters_.updated_each);
    return std::max(all,
                    held + kFloat * parameters_.updated +
                        std::max(bytes(bucket), sent(bucket) + added_up(bucket) - kFloat * bucket));
  }
  const double message = padded(parameters_.outside_each);
  const double of_block = padded(parameters_.trained_block_each);
  const double summed_already = kFloat * (padded(parameters_.updated_each) - message) / step_.ranks;
  return held + summed_already +
         std::max(sent(of_block) + sent(message) + added_up(of_block), summed(outside, message));
}

double Moments::exchange() const {
  const double sums = kFloat * padded(parameters_.updated_each) / step_.ranks;
  if (alone()) return one_set();
  if (!shards_state()) {
    return sums + kFloat * parameters_.updated +
           kFloat * gathered(largest_bucket(parameters_.updated_each));
  }
  return sums + bytes(gathered(
                    largest_bucket(full() ? parameters_.outside_each : parameters_.updated_each)));
}

}  // namespace

ParameterCounts count_parameters(const config::RunConfig& config, model::VisionLanguageModel& model,
                                 const text::SpecialTokens& special) {
  ParameterCounts counts;
  std::unordered_set<const c10::TensorImpl*> in_blocks;
  for (const model::Block& block : model.blocks()) {
    double numbers = 0;
    std::vector<int64_t> each;
    for (const torch::Tensor& parameter : block.parameters) {
      numbers += count_numbers(parameter);
      each.push_back(parameter.numel());
      in_blocks.insert(parameter.unsafeGetTensorImpl());
    }
    const bool is_trained = !train::is_frozen(config.model, block.part);
    const bool vision = block.part == model::Part::kVision;
    counts.blocks += numbers;
    if (is_trained) counts.trained_blocks += numbers;
    if (is_trained && vision) counts.trained_vision_blocks += numbers;
    if (is_trained && numbers > total_numel(counts.trained_block_each))
      counts.trained_block_each = each;
    if (vision && numbers > total_numel(counts.vision_block_each)) counts.vision_block_each = each;
    if (numbers > counts.largest_block) {
      counts.largest_block = numbers;
      counts.block_each = std::move(each);
    }
    // Some rows of the embedding are always trained, in front of the decoder.
    if (is_trained || !vision) counts.with_backward += numbers;
  }
  for (const model::NamedParameter& parameter : train::named_parameters(config, model, special)) {
    const double numbers = count_numbers(parameter.tensor);
    counts.all += numbers;
    if (train::is_frozen(config.model, model.parameter_part(parameter.name))) continue;
    counts.trained += numbers;
    counts.updated += static_cast<double>(parameter.numel());
    counts.updated_each.push_back(parameter.numel());
    if (!in_blocks.contains(parameter.tensor.unsafeGetTensorImpl()))
      counts.outside_each.push_back(parameter.numel());
  }
  counts.head = count_numbers(model.lm_head_weight());
  return counts;
}

MemoryEstimate estimate_memory(const ParameterCounts& parameters, const StepShape& step) {
  const Moments moments(parameters, step);
  return {.weights = moments.weights(),
          .gradients = moments.gradients(),
          .optimizer = moments.optimizer(),
          .activations = moments.activations(),
          .loss = moments.loss(),
          .blocks_in_flight = moments.blocks_in_flight(),
          .exchange = moments.exchange(),
          .saving = moments.saving(),
          .computing = moments.computing(),
          .updating = moments.updating()};
}

double MemoryEstimate::peak() const {
  return std::max(computing, updating);
}

double estimate_communication(const ParameterCounts& parameters, const StepShape& step) {
  const double others = 1 - 1.0 / step.ranks, each = step.bytes_each;
  // Sums of parts, in fp32, to be added over the groups and received again.
  const double over_groups = 2 * kFloat * (1 - 1.0 / step.groups) / step.ranks;
  // Gradients to whoever owns a part; then the new values, or the summed gradients in fp32.
  const parallel::ShardModeTraits& mode = parallel::traits(step.shard);
  if (!mode.shards_blocks) {
    const double back = mode.shards_optimizer ? each : kFloat;
    return parameters.updated * ((each + back) * others + over_groups);
  }
  const auto micro_batches = static_cast<double>(step.micro_batches);
  const double gathered = parameters.blocks + parameters.with_backward;
  const double of_step = parameters.trained - parameters.trained_blocks;
  return micro_batches *
             ((gathered + parameters.trained) * each * others + parameters.trained * over_groups) +
         of_step * each * others;
}

}  // namespace streamo::estimate
