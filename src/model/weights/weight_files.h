// The weights of a model directory: one file, or shards and their index.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/weights/safetensors.h"

namespace streamo::model {

// Hub files name their weights model.* and visual.*, as we do; transformers 5 names its modules
// model.language_model.* and model.visual.*. Both are read.
std::string published_name(const std::string& name);

struct Shard {
  std::string name;
  SafetensorsFile file;
};

struct StoredWeight {
  size_t shard;
  std::string name;  // in the file
};

// All headers checked, and the index against them: every shard is there and complete, every weight
// in the one shard that the index names, and no other weight besides.
class WeightFiles {
 public:
  // Throws core::Error{kModel} naming file and weight.
  explicit WeightFiles(const std::filesystem::path& model_dir);

  static bool exist_in(const std::filesystem::path& model_dir);

  const std::vector<Shard>& shards() const { return shards_; }  // by file name
  // Published name -> where it is.
  const std::map<std::string, StoredWeight>& weights() const { return weights_; }
  const TensorEntry& entry(const StoredWeight& weight) const {
    return *shards_[weight.shard].file.find(weight.name);
  }
  bool has_index() const { return has_index_; }
  const nlohmann::json& index_metadata() const { return index_metadata_; }

 private:
  void open_shards(const std::filesystem::path& model_dir);
  void collect_weights(const std::filesystem::path& model_dir);

  std::vector<Shard> shards_;
  std::map<std::string, StoredWeight> weights_;
  bool has_index_ = false;
  nlohmann::json index_metadata_;
};

}  // namespace streamo::model
