// What autograd keeps, tensor by tensor, of the operators that text.cpp and vision.cpp call. Each
// count is numbers a token (decoder) or patch (vision tower); tests/train/memory_plan_test.cpp
// holds them against what is allocated.
#include "activations.h"

#include <algorithm>

namespace streamo::model::qwen2_5_vl {
namespace {

double number(int64_t value) {
  return static_cast<double>(value);
}

struct OfBlock {
  double input;    // kept also when the block is run again
  double kept;     // all
  double working;  // the largest backward pass inside: of the gated MLP
};

// Input and output of the first norm, rotated queries and keys, values, what attention gives, the
// sum behind it, the second norm's output, and of the MLP gate, up and their product.
OfBlock of_layer(const TextConfig& config) {
  const double hidden = number(config.hidden_size), middle = number(config.intermediate_size);
  const double kv = number(config.num_key_value_heads * config.head_dim());
  return {hidden, 6 * hidden + 2 * kv + 3 * middle, 3 * hidden + 3 * middle};
}

// The same, but values are a part of one tensor with queries and keys before their rotation.
OfBlock of_block(const VisionConfig& config) {
  const double channels = number(config.hidden_size), middle = number(config.intermediate_size);
  return {channels, 10 * channels + 3 * middle, 3 * channels + 3 * middle};
}

}  // namespace

Activations activations(const Config& config, const Workload& work, const Training& training) {
  const VisionConfig& vision = config.vision;
  const TextConfig& text = config.text;
  const double merge = number(vision.spatial_merge_size * vision.spatial_merge_size);
  const double tokens = number(work.tokens), patches = number(work.visual_tokens) * merge;
  const double channels = number(vision.hidden_size), hidden = number(text.hidden_size);
  const double patch_values = number(vision.in_channels * vision.temporal_patch_size *
                                     vision.patch_size * vision.patch_size);

  const OfBlock layer = of_layer(text), block = of_block(vision);
  Activations found{.pixels = patches * patch_values};
  // Behind the layers the last norm's input and output; before them the tokens' embeddings.
  found.kept =
      tokens * (number(text.num_hidden_layers) * (training.recomputed ? layer.input : layer.kept) +
                2 * hidden);
  found.working = tokens * (layer.working + (training.recomputed ? layer.kept : 0));
  if (training.vision || training.merger) {
    // The norm's input and output; of four patches together the first product and its activation.
    found.kept += patches * 4 * channels;
  }
  if (training.vision) {
    found.kept += patches * number(vision.depth) * (training.recomputed ? block.input : block.kept);
  }
  const double seeing = training.vision && training.recomputed
                            ? block.working + block.kept
                            : std::max(block.working, training.vision ? 0 : block.kept);
  found.working = std::max(found.working, patches * seeing);
  return found;
}

}  // namespace streamo::model::qwen2_5_vl
