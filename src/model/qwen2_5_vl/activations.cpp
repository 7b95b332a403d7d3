// What autograd keeps, tensor by tensor, of the operators that text.cpp and vision.cpp call. Each
// count is numbers a token (decoder) or patch (vision tower);
// tests/estimate/memory_estimate_test.cpp holds them against what is allocated.
#include "model/qwen2_5_vl/activations.h"

#include <algorithm>

namespace streamo::model::qwen2_5_vl {
namespace {

double number(int64_t value) {
  return static_cast<double>(value);
}

struct OfBlock {
  double input;     // kept also when the block is run again
  double kept;      // all
  double forward;   // held by a forward pass that keeps nothing, while the gated MLP is at work
  double backward;  // the largest backward pass inside: of the gated MLP
};

double of_mlp(double middle, const Training& training) {
  return (training.keeps_product ? 3 : 2) * middle;
}

// Its two gradients and their product's; of the last the forward pass may have kept the room.
double of_mlp_backward(double hidden, double middle, const Training& training) {
  return 3 * hidden + (training.keeps_product ? 2 : 3) * middle;
}

// Input and output of the first norm, rotated queries and keys, values, what attention gives, the
// sum behind it, the second norm's output, and of the MLP gate, up and their product.
OfBlock of_layer(const TextConfig& config, const Training& training) {
  const double hidden = number(config.hidden_size), middle = number(config.intermediate_size);
  const double kv = number(config.num_key_value_heads * config.head_dim());
  const double norms = training.keeps_normed && training.language ? 2 * hidden : 0;
  return {.input = hidden,
          .kept = 6 * hidden + 2 * kv + norms + of_mlp(middle, training),
          .forward = 5 * hidden + 2 * kv + 3 * middle,
          .backward = of_mlp_backward(hidden, middle, training)};
}

// The same, but values are a part of one tensor with queries and keys before their rotation.
OfBlock of_block(const VisionConfig& config, const Training& training) {
  const double channels = number(config.hidden_size), middle = number(config.intermediate_size);
  const double norms = training.keeps_normed ? 2 * channels : 0;
  return {.input = channels,
          .kept = 10 * channels + norms + of_mlp(middle, training),
          .forward = 10 * channels + 3 * middle,
          .backward = of_mlp_backward(channels, middle, training)};
}

// Of `blocks` that are trained, or that a gradient goes through.
Activations::Stage of_stage(const OfBlock& block, double blocks, double tokens,
                            const Training& training) {
  const double of_each = training.recomputed ? block.input : block.kept;
  return {.kept = tokens * blocks * of_each,
          .of_block = tokens * of_each,
          .forward = training.recomputed ? tokens * block.forward : 0,
          .backward = tokens * (block.backward + (training.recomputed ? block.kept : 0))};
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

  Activations found{.pixels = patches * patch_values, .keeps_pixels = training.vision};
  found.decoder =
      of_stage(of_layer(text, training), number(text.num_hidden_layers), tokens, training);
  // Behind the layers the last norm's input and output; while these are at work they do not exist.
  found.decoder.kept += tokens * 2 * hidden;
  found.decoder.forward = std::max(found.decoder.forward - tokens * 2 * hidden, 0.0);
  const OfBlock block = of_block(vision, training);
  if (training.vision) {
    found.vision = of_stage(block, number(vision.depth), patches, training);
  } else {
    found.vision.forward = patches * block.forward;
  }
  if (training.vision || training.merger) {
    // The norm's input and output; of four patches together the first product and its activation.
    found.vision.kept += patches * 4 * channels;
  }
  return found;
}

}  // namespace streamo::model::qwen2_5_vl
