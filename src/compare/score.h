// What one sample makes of a model, number by number: how another implementation is compared with
// this one.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "config/run_config.h"
#include "data/samples/sample_source.h"

namespace streamo::compare {

struct ScoreOptions {
  int64_t index = 0;       // of the sample
  bool gradients = false;  // of the stream loss, before any step
  int64_t steps = 0;       // optim::AdamW updates on that one sample
  int64_t generate = 0;    // tokens to choose greedily after the conversation, at most
};

// The model is config.model.path in config.model.dtype; its sample comes from `source`.
//
// Without options (L tokens, P patches, V visual tokens, H hidden size):
//   input_ids, labels [L] int64        labels -100 where unsupervised
//   position_ids [3, L], image_grid_thw [n, 3] int64
//   pixel_values [P, 1176] fp32, image_embeds [V, H]
//   logits [L, vocabulary] fp32
//   token_loss [L] fp32                cross-entropy of labels[i] without weight, else 0
//   loss                               the stream loss, fp32 scalar
// Pictures' tensors are left out where there is none. When the conversation ends with the user's
// message the text goes on with the opened assistant turn, without label.
//   gradients: grad.<parameter> of what is trained (fp32; of a frozen language model's embedding
//              and head the rows of the state tokens), grad_norm
//   steps:     param.<parameter> after the last update, losses [steps] before each
//   generate:  generated_ids; the first token that ends a text (generation_config.json) is the last
// Parameters have the names of the model directory. Throws core::Error{kData} for a sample that
// cannot be used.
std::map<std::string, torch::Tensor> score(const config::RunConfig& config,
                                           const data::SampleSource& source,
                                           const ScoreOptions& options);

}  // namespace streamo::compare
