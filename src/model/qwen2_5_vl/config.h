// The family's config.json as a struct.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace streamo::model::qwen2_5_vl {

// Mean and standard deviation of the channels R, G, B: the numbers of CLIP's pre-training, which
// the family keeps.
inline constexpr std::array<double, 3> kImageMean = {0.48145466, 0.4578275, 0.40821073};
inline constexpr std::array<double, 3> kImageStd = {0.26862954, 0.26130258, 0.27577711};

struct VisionConfig {
  int64_t hidden_size = 1280, depth = 32, num_heads = 16, intermediate_size = 3420;
  int64_t out_hidden_size = 2048;
  int64_t in_channels = 3, patch_size = 14, spatial_merge_size = 2, temporal_patch_size = 2;
  int64_t window_size = 112;  // pixels
  std::vector<int64_t> fullatt_block_indexes = {7, 15, 23, 31};
  double initializer_range = 0.02;
};

struct TextConfig {
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  int64_t num_attention_heads = 0, num_key_value_heads = 0;
  double rms_norm_eps = 1e-5, rope_theta = 1e6;
  std::vector<int64_t> mrope_section;  // sums to head_dim / 2
  bool tie_word_embeddings = false;
  double initializer_range = 0.02;
  int64_t head_dim() const { return hidden_size / num_attention_heads; }
};

struct Config {
  VisionConfig vision;
  TextConfig text;
  int64_t image_token_id = 0;
};

// Reads both generations of the file: flat with rope_scaling, and nested with text_config and
// rope_parameters. Throws core::Error{kModel} naming the key that is missing or contradictory.
Config parse_config(const nlohmann::json& json, const std::string& file);

// preprocessor_config.json beside it: throws core::Error{kModel} naming the key that asks for other
// pictures than the family's. The limits of their size are free.
void check_processor(const nlohmann::json& json, const std::string& file, const Config& config);

// The key that sets this side of a weight, to say which one contradicts it; "" when it is not one
// alone.
std::string config_key(const std::string& parameter_name, int64_t side);

}  // namespace streamo::model::qwen2_5_vl
