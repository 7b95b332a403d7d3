// What a training step holds on one GPU, and sends to others, foretold from sizes alone.
//
// Formulas and what they leave out: docs/plan.md. All figures are bytes of one rank.
#pragma once

#include <cstdint>
#include <vector>

#include "config/run_config.h"
#include "parallel/shard_mode.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/special_tokens.h"

namespace streamo::estimate {

// The parameters of a model, counted in numbers.
struct ParameterCounts {
  double all = 0, trained = 0;  // trained: those that get a gradient
  double updated = 0;           // those that have an optimizer state: less, where rows are trained
  double blocks = 0, trained_blocks = 0;  // of these, in the repeated blocks
  double with_backward = 0;               // in blocks whose backward pass is needed
  double largest_block = 0;
  double head = 0;  // of the output projection
  double trained_vision_blocks = 0;
  // Of each parameter: of those updated, of these in no block, of the largest block, the largest
  // trained one and the largest of the vision tower. What is exchanged of each is cut into parts of
  // one length.
  std::vector<int64_t> updated_each, outside_each, block_each, trained_block_each,
      vision_block_each;
};

// `model`: built; nobody needs to have loaded its weights.
ParameterCounts count_parameters(const config::RunConfig& config, model::VisionLanguageModel& model,
                                 const text::SpecialTokens& special);

// What a rank is to do.
struct StepShape {
  parallel::ShardMode shard = parallel::ShardMode::kOptimizer;
  int ranks = 1;              // that share what is kept in parts
  int groups = 1;             // of so many ranks
  int64_t micro_batches = 1;  // of each rank
  bool deterministic = false;
  double bytes_each = 4;  // of a parameter and an activation
  // Of what is gathered, made by the library that exchanges it: NCCL none, Gloo one.
  double gather_copies = 0;
  // Of the micro-batch that takes most.
  model::Activations activations = {};
  double tokens = 0, supervised_tokens = 0;
  double hidden_size = 0;
};

struct MemoryEstimate {
  // At most: not all of it is there at once.
  double weights = 0, gradients = 0, optimizer = 0;
  double activations = 0, loss = 0;  // of one micro-batch
  double blocks_in_flight = 0;       // `full`: what is whole of them, and under way
  double exchange = 0;               // at the update: summed gradients, room to send and receive
  double saving = 0;                 // in the memory of the first rank's machine: the state of all

  double computing = 0;  // the peaks: in forward and backward pass, until gradients are summed,
  double updating = 0;   // and from there to the new weights
  double peak() const;
};

MemoryEstimate estimate_memory(const ParameterCounts& parameters, const StepShape& step);

// Bytes that each rank sends in a step.
double estimate_communication(const ParameterCounts& parameters, const StepShape& step);

}  // namespace streamo::estimate
