// Counts multiply-adds of weights and of attention pairs; windowed vision blocks count whole
// windows.
#include "model/qwen2_5_vl/flops.h"

#include <algorithm>

namespace streamo::model::qwen2_5_vl {
namespace {

struct VisionSizes {
  double patches, whole_pairs, window_pairs;
};

VisionSizes vision_sizes(const VisionConfig& config, const Workload& work) {
  const auto merge = static_cast<double>(config.spatial_merge_size * config.spatial_merge_size);
  const double patches = static_cast<double>(work.visual_tokens) * merge;
  const double whole = work.picture_pairs * merge * merge;
  const double side = static_cast<double>(config.window_size / config.patch_size);
  // Windows at the border are smaller: counted as whole ones, but never as more than the picture.
  return {patches, whole, std::min(whole, patches * side * side)};
}

}  // namespace

Flops forward_flops(const Config& config, const Workload& work) {
  constexpr double kMultiplyAdd = 2;
  const VisionConfig& vision = config.vision;
  const TextConfig& text = config.text;
  const auto number = [](int64_t value) { return static_cast<double>(value); };

  const auto [patches, whole_pairs, window_pairs] = vision_sizes(vision, work);
  const double channels = number(vision.hidden_size);
  const double patch_values = number(vision.in_channels * vision.temporal_patch_size *
                                     vision.patch_size * vision.patch_size);
  const double of_block = 4 * channels * channels + 3 * channels * number(vision.intermediate_size);
  const double whole_blocks = number(static_cast<int64_t>(vision.fullatt_block_indexes.size()));
  const double merged = channels * number(vision.spatial_merge_size * vision.spatial_merge_size);

  const double hidden = number(text.hidden_size), layers = number(text.num_hidden_layers);
  const double kv = number(text.num_key_value_heads * text.head_dim());
  const double of_layer =
      2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * number(text.intermediate_size);

  Flops flops;
  flops.vision_weights =
      kMultiplyAdd * patches * (patch_values * channels + number(vision.depth) * of_block);
  // A pair costs a product of queries and keys and one with the values, each of all channels.
  flops.vision_attention =
      kMultiplyAdd * 2 * channels *
      (whole_blocks * whole_pairs + (number(vision.depth) - whole_blocks) * window_pairs);
  flops.merger = kMultiplyAdd * number(work.visual_tokens) *
                 (merged * merged + merged * number(vision.out_hidden_size));
  flops.language_weights = kMultiplyAdd * number(work.tokens) * layers * of_layer;
  flops.language_attention = kMultiplyAdd * 2 * hidden * layers * work.token_pairs;
  flops.head = kMultiplyAdd * number(work.supervised_tokens) * hidden * number(text.vocab_size);
  return flops;
}

}  // namespace streamo::model::qwen2_5_vl
