#include "streamo/model/hf_directory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "registry.h"
#include "streamo/core/error.h"
#include "streamo/core/file.h"
#include "streamo/core/suggest.h"
#include "streamo/model/safetensors.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// transformers 5 names its modules model.language_model.* and model.visual.*; published files say
// model.* and visual.*, and so do we.
std::string published_name(const std::string& name) {
  constexpr std::string_view kLanguage = "model.language_model.", kVisual = "model.visual.";
  if (name.starts_with(kLanguage)) return "model." + name.substr(kLanguage.size());
  if (name.starts_with(kVisual)) return "visual." + name.substr(kVisual.size());
  return name;
}

std::vector<fs::path> weight_files(const fs::path& model_dir) {
  if (fs::exists(model_dir / kSingleFile)) return {model_dir / kSingleFile};
  const fs::path index_path = model_dir / kIndexFile;
  if (!fs::exists(index_path)) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("no {} and no {}", kSingleFile, kIndexFile), model_dir.string(),
                      "give a complete model directory");
  }
  const Json index = Json::parse(core::read_file(index_path), nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw core::Error(core::ErrorKind::kModel, "has no weight_map", index_path.string(),
                      "the index is damaged");
  }
  std::set<std::string> names;
  for (const auto& [weight, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename() != name) {
      throw core::Error(core::ErrorKind::kModel, "names the file " + file.dump(),
                        index_path.string(), "shards must lie in the model directory itself");
    }
    names.insert(name);
  }
  std::vector<fs::path> files;
  for (const std::string& name : names) files.push_back(model_dir / name);
  return files;
}

void copy_weight(const std::string& name, const torch::Tensor& from, torch::Tensor& to,
                 const fs::path& file) {
  if (from.sizes() != to.sizes()) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("weight {} has shape {}, the config asks for {}", name,
                                  Json(from.sizes().vec()).dump(), Json(to.sizes().vec()).dump()),
                      file.string(), "config.json and weights do not belong together");
  }
  to.copy_(from);
}

// Names in groups of at most shard_bytes, in order.
std::vector<std::map<std::string, torch::Tensor>> shards_of(
    const std::map<std::string, torch::Tensor>& weights, int64_t shard_bytes) {
  std::vector<std::map<std::string, torch::Tensor>> shards(1);
  int64_t bytes = 0;
  for (const auto& [name, tensor] : weights) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    if (bytes + size > shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().emplace(name, tensor);
    bytes += size;
  }
  return shards;
}

void write_shards(const std::vector<std::map<std::string, torch::Tensor>>& shards,
                  const fs::path& folder) {
  if (shards.size() == 1) return write_safetensors(folder / kSingleFile, shards[0]);
  Json weight_map = Json::object();
  int64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    write_safetensors(folder / file, shards[i]);
    for (const auto& [name, tensor] : shards[i]) {
      weight_map[name] = file;
      total += static_cast<int64_t>(tensor.nbytes());
    }
  }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  core::write_file_atomic(folder / kIndexFile, index.dump(2) + "\n");
}

// Files of a model directory that are not weights and not of a training run.
bool is_companion(const fs::path& file) {
  static const std::set<std::string> kRunFiles = {"manifest.json", "trainer_state.json",
                                                  kIndexFile};
  return fs::is_regular_file(file) && file.extension() != ".safetensors" &&
         !kRunFiles.contains(file.filename().string());
}

}  // namespace

std::shared_ptr<VisionLanguageModel> build_model(const fs::path& config_json) {
  if (!fs::exists(config_json)) {
    throw core::Error(core::ErrorKind::kModel, "no such file", config_json.string(),
                      "give a model directory");
  }
  const auto config =
      nlohmann::json::parse(core::read_file(config_json), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    throw core::Error(core::ErrorKind::kModel, "not a JSON object", config_json.string(),
                      "the file is damaged");
  }
  return build_family(config, config_json.string());
}

void initialize_weights(VisionLanguageModel& model, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  for (auto& item : model.named_parameters()) {
    torch::Tensor& weight = item.value();
    if (weight.dim() >= 2) {
      weight.normal_(0.0, model.initializer_range(), generator);
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

void load_weights(VisionLanguageModel& model, const fs::path& model_dir) {
  const torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> wanted = named_weights(model);
  std::vector<std::string> known;
  for (const auto& [name, tensor] : wanted) known.push_back(name);
  const bool tied = !wanted.contains("lm_head.weight");
  for (const fs::path& path : weight_files(model_dir)) {
    const SafetensorsFile file(path);
    for (const std::string& stored_name : file.names()) {
      const std::string name = published_name(stored_name);
      if (tied && name == "lm_head.weight") continue;  // some exports write the tied head as well
      const auto to = wanted.find(name);
      if (to == wanted.end()) {
        throw core::Error(core::ErrorKind::kModel,
                          "weight " + stored_name + " is not one of this model", path.string(),
                          core::nearest_name(name, known).empty()
                              ? "config.json and weights do not belong together"
                              : core::suggestion(name, known));
      }
      copy_weight(name, file.tensor(stored_name), to->second, path);
      wanted.erase(to);
    }
  }
  if (!wanted.empty()) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("{} weights are missing, the first is {}", wanted.size(),
                                  wanted.begin()->first),
                      model_dir.string(), "give a complete model directory");
  }
}

void save_model_directory(VisionLanguageModel& model, const fs::path& source_dir,
                          const fs::path& out_dir, int64_t shard_bytes) {
  core::write_directory_atomic(out_dir, [&](const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(source_dir)) {
      if (!is_companion(entry.path())) continue;
      core::write_file_atomic(folder / entry.path().filename(), core::read_file(entry.path()));
    }
    write_shards(shards_of(named_weights(model), shard_bytes), folder);
  });
}

}  // namespace streamo::model
