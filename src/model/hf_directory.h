// Model directories as Hugging Face publishes them: config.json, *.safetensors, tokenizer files.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "streamo/model/vision_language_model.h"

namespace streamo::model {

// Throws core::Error{kModel} with this hint where there is no such folder.
void require_model_directory(const std::filesystem::path& model_dir, const std::string& hint);

// Builds the family config.json names ("model_type"), without weights. Throws core::Error{kModel}.
std::shared_ptr<VisionLanguageModel> build_model(const std::filesystem::path& config_json);

// Random weights (normal, config's initializer_range; norms 1, biases 0), a pure function of the
// seed.
void initialize_weights(VisionLanguageModel& model, uint64_t seed);

// Whether there are weights in the directory (a preset's has none).
bool has_weights(const std::filesystem::path& model_dir);

// Our names of the weights in a directory -> the names in its files; empty where there are none.
std::map<std::string, std::string> stored_weight_names(const std::filesystem::path& model_dir);

struct WeightSummary {
  size_t files = 0;
  int64_t values = 0, bytes = 0;
  std::set<std::string> dtypes;  // as the files name them
};

// Whether the directory's weights are the model's, from the headers alone: one file or an index
// with shards, all of them there and complete, every weight once, of the right shape, in F32, BF16
// or F16. Throws core::Error{kModel} naming the file, the weight, both shapes and the nearest name.
WeightSummary check_weights(VisionLanguageModel& model, const std::filesystem::path& model_dir);

// Reads every weight into the model, after check_weights. The parameters get storage of `dtype`
// (without one: each that of its file) on `device`; what they were before is never touched, so that
// the memory taken is that of the result and some megabytes. Nothing refers to the files
// afterwards: they may be overwritten or removed.
void load_weights(VisionLanguageModel& model, const std::filesystem::path& model_dir,
                  std::optional<torch::ScalarType> dtype = std::nullopt,
                  torch::Device device = torch::kCPU);

// Weight name in the files -> tensor (shares storage with the model). Tied heads appear once.
std::map<std::string, torch::Tensor> named_weights(VisionLanguageModel& model);

// Writes the model as `source_dir` has it: its files, shards and index, their weights under their
// names, in their order and type, and its config.json, tokenizer and processor files beside them.
// Without weights there: one file (sharded with an index above `shard_bytes`) of the published
// names, in the `dtype` of its config.json. Weights are converted while they are written; no second
// copy of them is made. config.json gets the model's vocab_size. Published atomically.
// `extra_files`: name -> content of files to write besides, in place of those of that name.
void save_model_directory(VisionLanguageModel& model, const std::filesystem::path& source_dir,
                          const std::filesystem::path& out_dir,
                          const std::map<std::string, std::string>& extra_files = {},
                          int64_t shard_bytes = 5'000'000'000);

// What goes with the weights: config, tokenizer, processor and chat template, not weights in any
// format nor the state of a training run. A link counts as the file it leads to within the model
// directory, or within the model's folder of a hub cache; what leads elsewhere is no part of the
// model. `left_out` (may be null) gets what that leaves out, and why. Throws core::Error{kModel}
// where the model would not load without it.
std::vector<std::filesystem::path> companion_files(const std::filesystem::path& model_dir,
                                                   std::vector<std::string>* left_out = nullptr);
// Warns of what is left out. To be called before any work that is stored by the next.
void check_companion_files(const std::filesystem::path& model_dir);
// Copies them, and writes `extra_files` (name -> content) besides.
void write_companion_files(const std::filesystem::path& from, const std::filesystem::path& to,
                           const std::map<std::string, std::string>& extra_files);

// For a checkpoint, whose weights are stored in the type of training: remembers how those of
// `model_dir` are stored, so that save_model_directory writes the checkpoint out like them.
void write_weight_layout(const std::filesystem::path& model_dir,
                         const std::filesystem::path& checkpoint);

// config.json of a directory with at least this vocab_size (of text_config too); byte by byte what
// it was where that is so already: published models have more rows than tokens. For a model that
// add_token_rows made larger.
std::string config_with_vocabulary(const std::filesystem::path& model_dir, int64_t vocab_size);

// What config.json says of the tokenizer: one more than its largest id, and ids of special tokens.
struct PresetTokens {
  int64_t vocab_size = 0;
  int64_t image_token_id = 0, video_token_id = 0, vision_start_token_id = 0,
          vision_end_token_id = 0;
  int64_t eos_token_id = 0, pad_token_id = 0;
};

// Whether the tokenizer beside the weights is theirs: the ids config.json names are the
// tokenizer's, and all of its ids have rows. Throws core::Error{kModel} with both values. To be
// called before tokens are added.
void check_tokenizer(const std::filesystem::path& model_dir, const PresetTokens& tokens);

// Writes config.json, preprocessor_config.json, generation_config.json and chat_template.jinja of a
// named preset ("example": the Qwen2.5-VL architecture, small).
void write_preset(const std::string& preset, const PresetTokens& tokens,
                  const std::filesystem::path& out_dir);

// How many pixels a resized picture has, by the image processor's settings (processor_config.json
// or preprocessor_config.json, in each spelling); none where they do not say.
inline constexpr int64_t kMaxPixelLimit = 1 << 28;
struct PictureLimits {
  std::optional<int64_t> least, most;
};
// Of a model directory. Throws core::Error{kModel} for a damaged file; nothing without one.
PictureLimits picture_limits(const std::filesystem::path& model_dir);
// Those that write_preset() will write: known before there is a tokenizer.
PictureLimits preset_picture_limits(const std::string& preset);

}  // namespace streamo::model
