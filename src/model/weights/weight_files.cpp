// Opens one file or all shards of the index, cross-checks both, and maps the names of different
// transformers versions to one.
#include "model/weights/weight_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "model/weights/strict_json.h"
#include "model/weights/weight_layout.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what, const fs::path& where, const std::string& hint) {
  throw core::Error(core::ErrorKind::kModel, what, where.string(), hint);
}

constexpr const char* kDamagedIndex = "index and shards do not belong together, fetch them again";

// What to say of a directory without weights, by what it has instead.
std::string hint_without_weights(const fs::path& model_dir) {
  for (const auto& entry : fs::directory_iterator(model_dir)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".safetensors") return "the index is missing, fetch the directory again";
    if (extension == ".bin" || extension == ".pt" || extension == ".pth") {
      return fmt::format("{} is a pickle, which is not read: convert it to safetensors",
                         entry.path().filename().string());
    }
  }
  return "give a complete model directory";
}

std::map<std::string, std::string> read_weight_map(const Json& index, const fs::path& path) {
  if (!index.contains("weight_map") || !index["weight_map"].is_object()) {
    refuse("has no weight_map", path, "the index is damaged");
  }
  std::map<std::string, std::string> weight_map;
  for (const auto& [weight, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (fs::path(name).filename() != name || !name.ends_with(".safetensors")) {
      refuse("names the file " + file.dump(), path,
             "shards are *.safetensors files in the model directory itself");
    }
    weight_map.emplace(weight, name);
  }
  return weight_map;
}

}  // namespace

std::string published_name(const std::string& name) {
  constexpr std::string_view kLanguage = "model.language_model.", kVisual = "model.visual.";
  if (name.starts_with(kLanguage)) return "model." + name.substr(kLanguage.size());
  if (name.starts_with(kVisual)) return "visual." + name.substr(kVisual.size());
  return name;
}

bool WeightFiles::exist_in(const fs::path& model_dir) {
  return fs::exists(model_dir / kSingleFile) || fs::exists(model_dir / kIndexFile);
}

WeightFiles::WeightFiles(const fs::path& model_dir) {
  if (fs::exists(model_dir / kSingleFile)) {
    shards_.push_back({kSingleFile, SafetensorsFile(model_dir / kSingleFile)});
  } else if (fs::exists(model_dir / kIndexFile)) {
    open_shards(model_dir);
  } else {
    refuse(fmt::format("no {} and no {}", kSingleFile, kIndexFile), model_dir,
           fs::is_directory(model_dir) ? hint_without_weights(model_dir) : "check the path");
  }
  collect_weights(model_dir);
}

void WeightFiles::open_shards(const fs::path& model_dir) {
  const fs::path path = model_dir / kIndexFile;
  const Json index = read_json_object(path);
  const std::map<std::string, std::string> weight_map = read_weight_map(index, path);
  has_index_ = true;
  index_metadata_ = index.value("metadata", Json::object());

  std::set<std::string> names;
  std::vector<std::string> missing;
  for (const auto& [weight, name] : weight_map) names.insert(name);
  for (const std::string& name : names) {
    if (!fs::exists(model_dir / name)) missing.push_back(name);
  }
  if (!missing.empty()) {
    refuse(fmt::format("{} of {} shards missing: {}", missing.size(), names.size(),
                       fmt::join(missing, ", ")),
           path, "fetch the directory again");
  }
  std::map<std::string, size_t> shard_of;
  for (const std::string& name : names) {
    shard_of[name] = shards_.size();
    shards_.push_back({name, SafetensorsFile(model_dir / name)});
    for (const TensorEntry& tensor : shards_.back().file.entries()) {
      const auto place = weight_map.find(tensor.name);
      if (place == weight_map.end()) {
        refuse(fmt::format("weight {} is not in {}", tensor.name, kIndexFile), model_dir / name,
               kDamagedIndex);
      }
      if (place->second != name) {
        refuse(fmt::format("weight {} is here and, by {}, in {}", tensor.name, kIndexFile,
                           place->second),
               model_dir / name, kDamagedIndex);
      }
    }
  }
  for (const auto& [weight, name] : weight_map) {
    if (shards_[shard_of.at(name)].file.contains(weight)) continue;
    refuse(fmt::format("weight {}, which {} places here, is missing", weight, kIndexFile),
           model_dir / name, kDamagedIndex);
  }
}

void WeightFiles::collect_weights(const fs::path& model_dir) {
  for (size_t i = 0; i < shards_.size(); ++i) {
    for (const TensorEntry& tensor : shards_[i].file.entries()) {
      const auto [place, is_new] =
          weights_.emplace(published_name(tensor.name), StoredWeight{i, tensor.name});
      if (is_new) continue;
      refuse(fmt::format("weights {} and {} are the same one", place->second.name, tensor.name),
             model_dir / shards_[i].name, "remove one of them");
    }
  }
}

}  // namespace streamo::model
