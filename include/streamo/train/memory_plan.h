// What a training step holds on one GPU, and sends to others, foretold from sizes alone.
//
// Formulas and what they leave out: docs/plan.md. All figures are bytes of one rank, at most.
#pragma once

#include <cstdint>
#include <string>

#include "streamo/model/vision_language_model.h"
#include "streamo/text/special_tokens.h"
#include "streamo/train/run_config.h"

namespace streamo::train {

// The parameters of a model, counted in numbers.
struct ParameterCounts {
  double all = 0, trained = 0;  // trained: those that get a gradient
  double updated = 0;           // those that have an optimizer state: less, where rows are trained
  double blocks = 0, trained_blocks = 0;  // of these, in the repeated blocks
  double with_backward = 0;               // in blocks whose backward pass is needed
  double largest_block = 0, largest = 0;  // of one block, of one parameter
  double head = 0;                        // of the output projection
};

// `model`: built; nobody needs to have loaded its weights.
ParameterCounts count_parameters(const RunConfig& config, model::VisionLanguageModel& model,
                                 const text::SpecialTokens& special);

// What a rank is to do.
struct StepShape {
  std::string shard = "optimizer";  // parallel.shard
  int ranks = 1;
  int64_t micro_batches = 1;  // of each rank
  bool deterministic = false;
  double bytes_each = 4;  // of a parameter and an activation
  // Of the micro-batch that takes most.
  model::Activations activations = {};
  double tokens = 0, supervised_tokens = 0;
  double hidden_size = 0;
};

struct MemoryPlan {
  double weights = 0, gradients = 0, optimizer = 0;
  double activations = 0, loss = 0;  // of one micro-batch
  double blocks_at_work = 0;         // `full`: what is whole of them while they compute
  double exchange = 0;               // room to send and receive
  double saving = 0;                 // on the first rank: the state of all

  double computing() const;   // the peaks: in forward and backward pass,
  double updating() const;    // between the last backward pass and the new weights,
  double checkpoint() const;  // when a checkpoint is made, on the first rank
  double peak() const;
  bool gradients_before_last = false;  // some exist while a whole micro-batch is held
};

MemoryPlan plan_memory(const ParameterCounts& parameters, const StepShape& step);

// Bytes that each rank sends in a step.
double plan_traffic(const ParameterCounts& parameters, const StepShape& step);

}  // namespace streamo::train
