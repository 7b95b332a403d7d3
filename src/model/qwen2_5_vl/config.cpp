// Reads the keys of several transformers versions, and refuses by name every option that this
// implementation does not compute.
#include "model/qwen2_5_vl/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "streamo/core/error.h"

namespace streamo::model::qwen2_5_vl {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxSize = 1 << 24;    // of a side of a weight: products of a few fit
constexpr int64_t kMaxPatch = 1 << 10;   // of what patches multiply it with
constexpr int64_t kMaxBlocks = 1 << 12;  // building more would take long to say no

bool is_a(const Json& json, const int64_t& /*to*/) {
  return json.is_number_integer();
}
bool is_a(const Json& json, const double& /*to*/) {
  return json.is_number();
}
bool is_a(const Json& json, const bool& /*to*/) {
  return json.is_boolean();
}
bool is_a(const Json& json, const std::string& /*to*/) {
  return json.is_string();
}
bool is_a(const Json& json, const std::vector<int64_t>& /*to*/) {
  return json.is_array() && std::all_of(json.begin(), json.end(),
                                        [](const Json& item) { return item.is_number_integer(); });
}

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
    if (!is_a(json_[key], to)) {  // the JSON library would convert 1.5 and true in silence
      fail(fmt::format("{} is {}, which is no valid value", key, json_[key].dump()));
    }
    to = json_[key].get<T>();
  }
  void size(const char* key, int64_t& to, int64_t largest = kMaxSize) const {
    optional(key, to);
    if (to < 1 || to > largest) fail(fmt::format("{} is {}, must be 1 to {}", key, to, largest));
  }
  void required_size(const char* key, int64_t& to, int64_t largest = kMaxSize) const {
    required(key, to);
    size(key, to, largest);
  }
  // What else the key may say is not computed here.
  void only(const char* key, const Json& value) const {
    if (!json_.contains(key) || json_[key].is_null() || json_[key] == value) return;
    fail(fmt::format("{} is {}, only {} is supported", key, json_[key].dump(), value.dump()));
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
  reader.required_size("hidden_size", config.hidden_size);
  reader.required_size("depth", config.depth, kMaxBlocks);
  reader.required_size("num_heads", config.num_heads);
  reader.required_size("intermediate_size", config.intermediate_size);
  reader.required_size("out_hidden_size", config.out_hidden_size);
  reader.size("in_chans", config.in_channels, kMaxPatch);
  reader.size("in_channels", config.in_channels, kMaxPatch);
  reader.size("patch_size", config.patch_size, kMaxPatch);
  reader.size("spatial_patch_size", config.patch_size, kMaxPatch);
  reader.size("spatial_merge_size", config.spatial_merge_size, kMaxPatch);
  reader.size("temporal_patch_size", config.temporal_patch_size, kMaxPatch);
  reader.size("window_size", config.window_size);
  reader.optional("fullatt_block_indexes", config.fullatt_block_indexes);
  reader.optional("initializer_range", config.initializer_range);
  reader.only("hidden_act", "silu");
  return config;
}

void parse_rope(const Json& json, const std::string& file, TextConfig& config) {
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
}

void refuse_sliding_window(const Json& json, const Reader& reader) {
  reader.only("use_sliding_window", false);
  if (!json.contains("layer_types")) return;
  for (const Json& type : json["layer_types"]) {
    if (type != "full_attention") reader.fail("layer_types has " + type.dump());
  }
}

TextConfig parse_text(const Json& root, const std::string& file) {
  TextConfig config;
  const Json& json = root.contains("text_config") ? root["text_config"] : root;
  const Reader reader(json, file);
  reader.required_size("vocab_size", config.vocab_size);
  reader.required_size("hidden_size", config.hidden_size);
  reader.required_size("intermediate_size", config.intermediate_size);
  reader.required_size("num_hidden_layers", config.num_hidden_layers, kMaxBlocks);
  reader.required_size("num_attention_heads", config.num_attention_heads);
  reader.required_size("num_key_value_heads", config.num_key_value_heads);
  reader.optional("rms_norm_eps", config.rms_norm_eps);
  reader.optional("rope_theta", config.rope_theta);
  reader.optional("initializer_range", config.initializer_range);
  reader.only("hidden_act", "silu");
  reader.only("head_dim", config.head_dim());
  parse_rope(json, file, config);
  refuse_sliding_window(json, reader);
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
  require(text.hidden_size % text.num_attention_heads == 0,
          "hidden_size is no multiple of num_attention_heads");
  require(text.num_attention_heads % text.num_key_value_heads == 0,
          "num_attention_heads is no multiple of num_key_value_heads");
  int64_t sections = 0;
  for (const int64_t section : text.mrope_section) {
    require(section >= 0 && section <= text.head_dim(),
            fmt::format("mrope_section has a section of {}", section));
    sections += section;
  }
  require(text.mrope_section.size() == 3 && sections == text.head_dim() / 2,
          fmt::format("mrope_section must be three numbers that sum to half the head, {}, not {}",
                      text.head_dim() / 2, sections));
  require(text.rms_norm_eps >= 0 && text.rope_theta > 0,
          "rms_norm_eps or rope_theta is out of range");
  require(vision.hidden_size % (4 * vision.num_heads) == 0,
          "the vision hidden_size must be a multiple of four times num_heads");
  require(vision.out_hidden_size == text.hidden_size,
          fmt::format("vision out_hidden_size {} is not hidden_size {}", vision.out_hidden_size,
                      text.hidden_size));
  require(vision.window_size >= vision.patch_size * vision.spatial_merge_size,
          "window_size is below one token");
  for (const int64_t block : vision.fullatt_block_indexes) {
    require(block >= 0 && block < vision.depth,
            fmt::format("fullatt_block_indexes has {} of {} blocks", block, vision.depth));
  }
  require(
      config.image_token_id >= 0 && config.image_token_id < text.vocab_size,
      fmt::format("image_token_id is {}, vocab_size {}", config.image_token_id, text.vocab_size));
}

// The keys of the first two sides of the weights whose name contains `part`; the first match
// counts.
struct SizeKeys {
  const char *part, *first, *second;
};
constexpr SizeKeys kSizeKeys[] = {
    {"merger.mlp.0.", "", ""},  // both are products
    {"merger.mlp.2.", "out_hidden_size", ""},
    {"patch_embed.", "hidden_size", "in_chans"},
    {"attn.qkv.", "", "hidden_size"},
    {"embed_tokens.", "vocab_size", "hidden_size"},
    {"lm_head.", "vocab_size", "hidden_size"},
    {".k_proj.", "num_key_value_heads", "hidden_size"},
    {".v_proj.", "num_key_value_heads", "hidden_size"},
    {".down_proj.", "hidden_size", "intermediate_size"},
    {".gate_proj.", "intermediate_size", "hidden_size"},
    {".up_proj.", "intermediate_size", "hidden_size"},
    {"", "hidden_size", "hidden_size"},
};

}  // namespace

std::string config_key(const std::string& parameter_name, int64_t side) {
  const auto* keys = std::begin(kSizeKeys);
  while (parameter_name.find(keys->part) == parameter_name.npos) ++keys;
  const std::string key = side == 0 ? keys->first : side == 1 ? keys->second : "";
  return key.empty() || !parameter_name.starts_with("visual.") ? key : "vision_config." + key;
}

void refuse_quantised(const Json& json, const std::string& file) {
  for (const char* section : {"", "text_config", "vision_config"}) {
    const Json& part = *section == '\0' ? json : json.value(section, Json::object());
    for (const char* key : {"quantization_config", "compression_config"}) {
      if (!part.is_object() || !part.contains(key) || part[key].is_null()) continue;
      const bool is_fp8 = part[key].is_object() && part[key].value("quant_method", Json()) == "fp8";
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("{} is not supported: the weights are quantised ({})",
                                    is_fp8 ? "FP8" : "this", key),
                        file, "take the directory with the weights in bf16");
    }
  }
}

Config parse_config(const Json& json, const std::string& file) {
  const Reader reader(json, file);
  if (!json.contains("vision_config") || !json["vision_config"].is_object()) {
    reader.fail("vision_config is missing");
  }
  if (json.contains("text_config") && !json["text_config"].is_object()) {
    reader.fail("text_config is no object");
  }
  refuse_quantised(json, file);
  Config config;
  config.vision = parse_vision(json["vision_config"], file);
  config.text = parse_text(json, file);
  reader.required("image_token_id", config.image_token_id);
  check(config, reader);
  return config;
}

void check_processor(const Json& json, const std::string& file, const Config& config) {
  const Reader reader(json, file);
  reader.only("patch_size", config.vision.patch_size);
  reader.only("temporal_patch_size", config.vision.temporal_patch_size);
  reader.only("merge_size", config.vision.spatial_merge_size);
  reader.only("image_mean", kImageMean);
  reader.only("image_std", kImageStd);
  reader.only("rescale_factor", 1.0 / 255.0);
  reader.only("resample", 3);  // Pillow's number of bicubic
  for (const char* step : {"do_resize", "do_rescale", "do_normalize"}) reader.only(step, true);
}

}  // namespace streamo::model::qwen2_5_vl
