// Model directories as Hugging Face publishes them: config.json, *.safetensors, tokenizer files.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "streamo/model/vision_language_model.h"

namespace streamo::model {

// Builds the family config.json names ("model_type"), without weights. Throws core::Error{kModel}.
std::shared_ptr<VisionLanguageModel> build_model(const std::filesystem::path& config_json);

// Random weights (normal, config's initializer_range; norms 1, biases 0), a pure function of the
// seed.
void initialize_weights(VisionLanguageModel& model, uint64_t seed);

// Reads every weight of *.safetensors into the model; a missing, unknown or misshapen one is
// refused with both shapes and the nearest name.
void load_weights(VisionLanguageModel& model, const std::filesystem::path& model_dir);

// Weight name in the files -> tensor (shares storage with the model). Tied heads appear once.
std::map<std::string, torch::Tensor> named_weights(VisionLanguageModel& model);

// Our names of the weights in a directory -> the names in its files; empty where there are none.
std::map<std::string, std::string> stored_weight_names(const std::filesystem::path& model_dir);

// Writes model.safetensors (sharded with an index above `shard_bytes`) and copies config.json,
// tokenizer and processor files from `source_dir`; names and type of the weights are those of that
// directory (its files, and `dtype` of its config.json). Published atomically.
// `extra_files`: name -> content of files to write besides.
void save_model_directory(VisionLanguageModel& model, const std::filesystem::path& source_dir,
                          const std::filesystem::path& out_dir,
                          const std::map<std::string, std::string>& extra_files = {},
                          int64_t shard_bytes = 5'000'000'000);

// What goes with the weights. Copies config, tokenizer, processor and chat template, not weights in
// any format nor the state of a training run; writes `extra_files` (name -> content) besides.
void write_companion_files(const std::filesystem::path& from, const std::filesystem::path& to,
                           const std::map<std::string, std::string>& extra_files);

// What a preset's config needs to know of its tokenizer.
struct PresetTokens {
  int64_t vocab_size = 0;
  int64_t image_token_id = 0, video_token_id = 0, vision_start_token_id = 0,
          vision_end_token_id = 0;
  int64_t eos_token_id = 0, pad_token_id = 0;
};

// Writes config.json, preprocessor_config.json, generation_config.json and chat_template.jinja of a
// named preset ("example": the Qwen2.5-VL architecture, small).
void write_preset(const std::string& preset, const PresetTokens& tokens,
                  const std::filesystem::path& out_dir);

}  // namespace streamo::model
