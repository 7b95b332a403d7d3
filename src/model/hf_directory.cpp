// Building, initialising and saving; how weights are read and laid out is in weights/.
#include "model/hf_directory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/io/output.h"
#include "core/json/json.h"
#include "model/registry.h"
#include "model/weights/strict_json.h"
#include "model/weights/weight_layout.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kConfig = "config.json";
constexpr const char* kHead = "lm_head.weight";

bool names_head(const WeightLayout& layout) {
  return std::any_of(layout.files.begin(), layout.files.end(), [](const WeightLayout::File& file) {
    return std::any_of(file.tensors.begin(), file.tensors.end(),
                       [](const StoredTensor& stored) { return stored.name == kHead; });
  });
}

}  // namespace

void require_model_directory(const fs::path& model_dir, const std::string& hint) {
  if (fs::is_directory(model_dir)) return;
  throw core::Error(core::ErrorKind::kModel, "no such model directory", model_dir.string(), hint);
}

std::shared_ptr<VisionLanguageModel> build_model(const fs::path& config_json) {
  const Json config = read_json_object(config_json);
  try {
    return build_family(config, config_json.string());
  } catch (const c10::Error& error) {  // no memory for a weight, even untouched
    throw core::Error(core::ErrorKind::kMemory, error.what_without_backtrace(),
                      config_json.string(), "the model of this config does not fit this machine");
  }
}

void initialize_weights(VisionLanguageModel& model, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  for (auto& item : model.named_parameters()) {
    torch::Tensor& weight = item.value();
    if (weight.dim() >= 2) {
      weight.normal_(0.0, model.initializer_range(item.key()), generator);
    } else {
      weight.fill_(item.key().ends_with(".bias") ? 0.0 : 1.0);  // vectors are biases and norms
    }
  }
}

std::map<std::string, torch::Tensor> named_weights(VisionLanguageModel& model) {
  std::map<std::string, torch::Tensor> weights;
  for (auto& item : model.named_parameters()) weights.emplace(item.key(), item.value());
  return weights;
}

void write_weight_layout(const fs::path& model_dir, const fs::path& checkpoint) {
  core::write_file_atomic(checkpoint / kLayoutFile, layout_to_json(model_dir).dump() + "\n");
}

std::string config_with_vocabulary(const fs::path& model_dir, int64_t vocab_size) {
  const fs::path path = model_dir / kConfig;
  auto config = core::require_json_object<nlohmann::ordered_json>(
      path, core::ErrorKind::kModel, "give a complete model directory");
  bool changed = false;
  const auto set = [&](nlohmann::ordered_json& in) {
    if (!in.is_object() || !in.contains("vocab_size") || in["vocab_size"] >= vocab_size) return;
    in["vocab_size"] = vocab_size;
    changed = true;
  };
  set(config);
  if (config.contains("text_config")) set(config["text_config"]);
  return changed ? config.dump(2) + "\n" : core::read_file(path);
}

void check_tokenizer(const fs::path& model_dir, const PresetTokens& tokens) {
  const fs::path path = model_dir / kConfig;
  const Json config = read_json_object(path);
  const auto refuse = [&](const char* key, const Json& value, const std::string& what, int64_t is) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("{} is {}, but {} {}", key, value.dump(), what, is),
                      path.string(), "the tokenizer belongs to another model");
  };
  const auto check_id = [&](const char* key, const char* token, int64_t id) {
    if (!config.contains(key) || !config[key].is_number_integer() || config[key] == id) return;
    refuse(key, config[key], fmt::format("the tokenizer gives {} the id", token), id);
  };
  check_id("image_token_id", "<|image_pad|>", tokens.image_token_id);
  check_id("video_token_id", "<|video_pad|>", tokens.video_token_id);
  check_id("vision_start_token_id", "<|vision_start|>", tokens.vision_start_token_id);
  check_id("vision_end_token_id", "<|vision_end|>", tokens.vision_end_token_id);
  const Json& text = config.contains("text_config") ? config["text_config"] : config;
  if (text.value("vocab_size", tokens.vocab_size) < tokens.vocab_size) {
    refuse("vocab_size", text["vocab_size"], "the largest id of the tokenizer is",
           tokens.vocab_size - 1);
  }
}

void save_model_directory(VisionLanguageModel& model, const fs::path& source_dir,
                          const fs::path& out_dir,
                          const std::map<std::string, std::string>& extra_files,
                          int64_t shard_bytes) {
  std::map<std::string, torch::Tensor> weights = named_weights(model);
  const WeightLayout layout = layout_for(source_dir, weights, shard_bytes);
  if (names_head(layout)) weights.emplace(kHead, model.lm_head_weight());  // stored though tied
  std::map<std::string, std::string> companions = extra_files;
  companions.emplace(kConfig, config_with_vocabulary(source_dir, model.lm_head_weight().size(0)));
  core::write_own_directory(out_dir, [&](const fs::path& folder) {
    write_companion_files(source_dir, folder, companions);
    write_weights(layout, weights, folder);
  });
}

}  // namespace streamo::model
