// How the weights of a model directory are stored: which file holds which weight, in which order,
// under which name, in which type. What is exported follows it, so that whatever read the original
// reads the new one.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/weights/safetensors_header.h"

namespace streamo::model {

inline constexpr const char* kSingleFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";
// In a checkpoint, whose own weights are stored for training: the layout of the directory the run
// began with.
inline constexpr const char* kLayoutFile = "weight_layout.json";

struct StoredTensor {
  std::string name;
  Dtype dtype;
};

struct WeightLayout {
  struct File {
    std::string name;
    std::map<std::string, std::string> metadata;
    std::vector<StoredTensor> tensors;  // in file order
  };
  std::vector<File> files;
  nlohmann::json index_metadata;  // null: one file without an index
};

// The layout of a directory: by its kLayoutFile, else by its weights; without either, of weights
// under their own names in the type config.json declares ("dtype", "torch_dtype"), else each in its
// own, in files of at most `shard_bytes`.
WeightLayout layout_for(const std::filesystem::path& model_dir,
                        const std::map<std::string, torch::Tensor>& weights, int64_t shard_bytes);

// For kLayoutFile: how the directory stores its weights, or says in its own kLayoutFile that they
// are to be stored. Of a directory with neither: without files, which layout_for takes as such.
nlohmann::json layout_to_json(const std::filesystem::path& model_dir);

// Writes the files of the layout, and the index if it has one.
// `weights`: published name -> tensor; "lm_head.weight" may be absent when the head is tied, and is
// written all the same where the layout has it.
void write_weights(const WeightLayout& layout, const std::map<std::string, torch::Tensor>& weights,
                   const std::filesystem::path& folder);

}  // namespace streamo::model
