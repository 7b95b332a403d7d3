#include "config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "streamo/core/error.h"

namespace streamo::model::qwen2_5_vl {
namespace {

using Json = nlohmann::json;

class Reader {
 public:
  Reader(const Json& json, const std::string& file) : json_(json), file_(file) {}

  template <typename T>
  void required(const char* key, T& to) const {
    if (!json_.contains(key)) fail(fmt::format("{} is missing", key));
    optional(key, to);
  }
  template <typename T>
  void optional(const char* key, T& to) const {
    if (!json_.contains(key) || json_[key].is_null()) return;
    try {
      to = json_[key].get<T>();
    } catch (const Json::exception&) {
      fail(fmt::format("{} is {}, which is no valid value", key, json_[key].dump()));
    }
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw core::Error(core::ErrorKind::kModel, what, file_,
                      "this is not a Qwen2.5-VL config this program can read");
  }

 private:
  const Json& json_;
  const std::string& file_;
};

VisionConfig parse_vision(const Json& json, const std::string& file) {
  VisionConfig config;
  const Reader reader(json, file);
  reader.required("hidden_size", config.hidden_size);
  reader.required("depth", config.depth);
  reader.required("num_heads", config.num_heads);
  reader.required("intermediate_size", config.intermediate_size);
  reader.required("out_hidden_size", config.out_hidden_size);
  reader.optional("in_chans", config.in_channels);
  reader.optional("in_channels", config.in_channels);
  reader.optional("patch_size", config.patch_size);
  reader.optional("spatial_patch_size", config.patch_size);
  reader.optional("spatial_merge_size", config.spatial_merge_size);
  reader.optional("temporal_patch_size", config.temporal_patch_size);
  reader.optional("window_size", config.window_size);
  reader.optional("fullatt_block_indexes", config.fullatt_block_indexes);
  reader.optional("initializer_range", config.initializer_range);
  return config;
}

TextConfig parse_text(const Json& root, const std::string& file) {
  TextConfig config;
  const Json& json = root.contains("text_config") ? root["text_config"] : root;
  const Reader reader(json, file);
  reader.required("vocab_size", config.vocab_size);
  reader.required("hidden_size", config.hidden_size);
  reader.required("intermediate_size", config.intermediate_size);
  reader.required("num_hidden_layers", config.num_hidden_layers);
  reader.required("num_attention_heads", config.num_attention_heads);
  reader.required("num_key_value_heads", config.num_key_value_heads);
  reader.optional("rms_norm_eps", config.rms_norm_eps);
  reader.optional("rope_theta", config.rope_theta);
  reader.optional("initializer_range", config.initializer_range);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.contains(key) || !json[key].is_object()) continue;
    const Reader rope(json[key], file);
    rope.optional("mrope_section", config.mrope_section);
    rope.optional("rope_theta", config.rope_theta);
    for (const char* type_key : {"type", "rope_type"}) {
      std::string type = "default";
      rope.optional(type_key, type);
      if (type == "default" || type == "mrope") continue;
      rope.fail(fmt::format("{} of type \"{}\" is not supported", key, type));
    }
  }
  bool sliding = false;
  reader.optional("use_sliding_window", sliding);
  if (sliding) reader.fail("use_sliding_window is not supported");
  Reader(root, file).optional("tie_word_embeddings", config.tie_word_embeddings);
  if (&json != &root && !root.contains("tie_word_embeddings")) {
    reader.optional("tie_word_embeddings", config.tie_word_embeddings);
  }
  return config;
}

void check(const Config& config, const Reader& reader) {
  const TextConfig& text = config.text;
  const VisionConfig& vision = config.vision;
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) reader.fail(what);
  };
  require(text.num_attention_heads > 0 && text.hidden_size % text.num_attention_heads == 0,
          "hidden_size is no multiple of num_attention_heads");
  require(text.num_key_value_heads > 0 && text.num_attention_heads % text.num_key_value_heads == 0,
          "num_attention_heads is no multiple of num_key_value_heads");
  const int64_t sections =
      std::accumulate(text.mrope_section.begin(), text.mrope_section.end(), int64_t{0});
  require(sections == text.head_dim() / 2,
          fmt::format("mrope_section sums to {}, must be half the head, {}", sections,
                      text.head_dim() / 2));
  require(vision.num_heads > 0 && vision.hidden_size % (4 * vision.num_heads) == 0,
          "the vision hidden_size must be a multiple of four times num_heads");
  require(vision.out_hidden_size == text.hidden_size,
          fmt::format("vision out_hidden_size {} is not hidden_size {}", vision.out_hidden_size,
                      text.hidden_size));
  require(vision.window_size >= vision.patch_size * vision.spatial_merge_size,
          "window_size is below one token");
}

}  // namespace

Config parse_config(const Json& json, const std::string& file) {
  const Reader reader(json, file);
  if (!json.contains("vision_config")) reader.fail("vision_config is missing");
  Config config;
  config.vision = parse_vision(json["vision_config"], file);
  config.text = parse_text(json, file);
  reader.required("image_token_id", config.image_token_id);
  check(config, reader);
  return config;
}

}  // namespace streamo::model::qwen2_5_vl
