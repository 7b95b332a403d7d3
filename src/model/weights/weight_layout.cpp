// Records the layout of the original (stored in weight_layout.json of checkpoints), or makes one
// with shards of bounded size.
#include "model/weights/weight_layout.h"

#include <fmt/format.h>

#include <optional>
#include <set>

#include "core/io/file.h"
#include "model/weights/safetensors.h"
#include "model/weights/strict_json.h"
#include "model/weights/weight_files.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using torch::Tensor;

constexpr const char* kFormat = "format";

WeightLayout layout_from_files(const WeightFiles& stored) {
  WeightLayout layout;
  for (const Shard& shard : stored.shards()) {
    WeightLayout::File file{shard.name, shard.file.metadata(), {}};
    for (const TensorEntry& tensor : shard.file.entries()) {
      file.tensors.push_back({tensor.name, tensor.dtype});
    }
    layout.files.push_back(std::move(file));
  }
  if (stored.has_index()) layout.index_metadata = stored.index_metadata();
  return layout;
}

// The type the directory says its weights have, if it says so.
std::optional<Dtype> declared_dtype(const fs::path& model_dir) {
  const Json config = read_json_object(model_dir / "config.json");
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!config.contains(key)) continue;
    if (config[key] == "float32") return Dtype::kF32;
    if (config[key] == "bfloat16") return Dtype::kBF16;
    if (config[key] == "float16") return Dtype::kF16;
  }
  return std::nullopt;
}

WeightLayout new_layout(const std::map<std::string, Tensor>& weights, std::optional<Dtype> dtype,
                        int64_t shard_bytes) {
  WeightLayout layout;
  const std::map<std::string, std::string> metadata = {{kFormat, "pt"}};
  layout.files.push_back({kSingleFile, metadata, {}});
  int64_t bytes = 0;
  for (const auto& [name, tensor] : weights) {
    const Dtype stored = dtype.value_or(safetensors_dtype(tensor.scalar_type()));
    const int64_t size = tensor.numel() * static_cast<int64_t>(dtype_bytes(stored));
    if (bytes + size > shard_bytes && bytes > 0) {
      layout.files.push_back({"", metadata, {}});
      bytes = 0;
    }
    layout.files.back().tensors.push_back({name, stored});
    bytes += size;
  }
  const size_t count = layout.files.size();
  if (count == 1) return layout;
  for (size_t i = 0; i < count; ++i) {
    layout.files[i].name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, count);
  }
  layout.index_metadata = Json::object();
  return layout;
}

Dtype parse_dtype(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(Dtype::kBool); ++i) {
    if (dtype_name(static_cast<Dtype>(i)) == name) return static_cast<Dtype>(i);
  }
  throw std::invalid_argument("dtype " + name);
}

WeightLayout parse_layout(const fs::path& path) {
  const Json json = read_json_object(path);
  try {
    WeightLayout layout;
    for (const Json& entry : json.at("files")) {
      WeightLayout::File file{entry.at("name"), entry.at("metadata"), {}};
      if (fs::path(file.name).filename() != file.name) throw std::invalid_argument(file.name);
      for (const Json& tensor : entry.at("tensors")) {
        file.tensors.push_back({tensor.at(0), parse_dtype(tensor.at(1))});
      }
      layout.files.push_back(std::move(file));
    }
    layout.index_metadata = json.at("index_metadata");
    return layout;
  } catch (const std::exception& error) {
    throw core::Error(core::ErrorKind::kModel, error.what(), path.string(), "the file is damaged");
  }
}

// By kLayoutFile, else by the weights; without files where neither is there.
WeightLayout stored_layout(const fs::path& model_dir) {
  if (fs::exists(model_dir / kLayoutFile)) return parse_layout(model_dir / kLayoutFile);
  if (WeightFiles::exist_in(model_dir)) return layout_from_files(WeightFiles(model_dir));
  return {};
}

void write_index(const WeightLayout& layout, const std::map<std::string, Tensor>& weights,
                 const fs::path& folder) {
  Json weight_map = Json::object();
  int64_t bytes = 0, parameters = 0;
  std::set<const void*> counted;  // a tied head is no parameter of its own
  for (const WeightLayout::File& file : layout.files) {
    for (const StoredTensor& stored : file.tensors) {
      const Tensor& tensor = weights.at(published_name(stored.name));
      weight_map[stored.name] = file.name;
      bytes += tensor.numel() * static_cast<int64_t>(dtype_bytes(stored.dtype));
      if (counted.insert(tensor.const_data_ptr()).second) parameters += tensor.numel();
    }
  }
  Json metadata = layout.index_metadata;
  metadata["total_size"] = bytes;
  if (metadata.contains("total_parameters")) metadata["total_parameters"] = parameters;
  const Json index = {{"metadata", metadata}, {"weight_map", weight_map}};
  core::write_file_atomic(folder / kIndexFile, index.dump(2) + "\n");
}

}  // namespace

WeightLayout layout_for(const fs::path& model_dir, const std::map<std::string, Tensor>& weights,
                        int64_t shard_bytes) {
  WeightLayout layout = stored_layout(model_dir);
  if (!layout.files.empty()) return layout;
  return new_layout(weights, declared_dtype(model_dir), shard_bytes);
}

Json layout_to_json(const fs::path& model_dir) {
  const WeightLayout layout = stored_layout(model_dir);
  Json files = Json::array();
  for (const WeightLayout::File& file : layout.files) {
    Json tensors = Json::array();
    for (const StoredTensor& tensor : file.tensors) {
      tensors.push_back({tensor.name, dtype_name(tensor.dtype)});
    }
    files.push_back({{"name", file.name}, {"metadata", file.metadata}, {"tensors", tensors}});
  }
  return {{"files", files}, {"index_metadata", layout.index_metadata}};
}

void write_weights(const WeightLayout& layout, const std::map<std::string, Tensor>& weights,
                   const fs::path& folder) {
  std::set<std::string> placed;
  for (const WeightLayout::File& file : layout.files) {
    std::vector<TensorToWrite> tensors;
    for (const StoredTensor& stored : file.tensors) {
      const auto weight = weights.find(published_name(stored.name));
      if (weight == weights.end()) {
        throw core::Error(core::ErrorKind::kModel,
                          "weight " + stored.name + " is not one of this model", file.name,
                          "the layout belongs to another model");
      }
      placed.insert(weight->first);
      tensors.push_back({stored.name, weight->second, stored.dtype});
    }
    write_safetensors(folder / file.name, tensors, file.metadata);
  }
  for (const auto& [name, tensor] : weights) {
    STREAMO_CHECK(placed.contains(name), "the layout has no place for " + name);
  }
  if (!layout.index_metadata.is_null()) write_index(layout, weights, folder);
}

}  // namespace streamo::model
