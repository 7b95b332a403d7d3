#include "streamo/model/hf_directory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "registry.h"
#include "streamo/core/error.h"
#include "streamo/core/file.h"
#include "streamo/core/suggest.h"
#include "streamo/model/safetensors.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

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

Json read_config(const fs::path& path) {
  if (!fs::exists(path)) {
    throw core::Error(core::ErrorKind::kModel, "no such file", path.string(),
                      "give a model directory");
  }
  Json config = Json::parse(core::read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    throw core::Error(core::ErrorKind::kModel, "not a JSON object", path.string(),
                      "the file is damaged");
  }
  return config;
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

std::string hint_for(const std::string& name, const std::map<std::string, torch::Tensor>& weights) {
  // Slashes for dots: the search favours a shared last component, and here all end in ".weight".
  const auto with = [](std::string text, char from, char to) {
    std::replace(text.begin(), text.end(), from, to);
    return text;
  };
  std::vector<std::string> known;
  for (const auto& [other, tensor] : weights) known.push_back(with(other, '.', '/'));
  const std::string nearest = core::nearest_name(with(name, '.', '/'), known);
  if (nearest.empty()) return "config.json and weights do not belong together";
  return "did you mean " + with(nearest, '/', '.') + "?";
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

// The type the directory says its weights have, if it says so.
std::optional<torch::ScalarType> declared_dtype(const fs::path& model_dir) {
  const Json config = read_config(model_dir / "config.json");
  const std::string name = config.value("dtype", config.value("torch_dtype", std::string()));
  if (name == "float32") return torch::kFloat;
  if (name == "bfloat16") return torch::kBFloat16;
  if (name == "float16") return torch::kHalf;
  return std::nullopt;
}

// Under the names and in the type of the directory they came from, so that whatever read that one
// reads the new one.
std::map<std::string, torch::Tensor> weights_as_in(VisionLanguageModel& model,
                                                   const fs::path& source_dir) {
  const std::map<std::string, std::string> stored_names = stored_weight_names(source_dir);
  const auto dtype = declared_dtype(source_dir);
  std::map<std::string, torch::Tensor> weights;
  for (const auto& [name, tensor] : named_weights(model)) {
    const auto stored = stored_names.find(name);
    weights.emplace(stored == stored_names.end() ? name : stored->second,
                    tensor.detach().to(dtype.value_or(tensor.scalar_type())));
  }
  return weights;
}

}  // namespace

std::shared_ptr<VisionLanguageModel> build_model(const fs::path& config_json) {
  return build_family(read_config(config_json), config_json.string());
}

std::map<std::string, std::string> stored_weight_names(const fs::path& model_dir) {
  std::map<std::string, std::string> names;
  if (!fs::exists(model_dir / kSingleFile) && !fs::exists(model_dir / kIndexFile)) return names;
  for (const fs::path& path : weight_files(model_dir)) {
    for (const std::string& name : SafetensorsFile(path).names())
      names[published_name(name)] = name;
  }
  return names;
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

void load_weights(VisionLanguageModel& model, const fs::path& model_dir) {
  const torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> wanted = named_weights(model);
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
                          hint_for(name, named_weights(model)));
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

void write_companion_files(const fs::path& from, const fs::path& to,
                           const std::map<std::string, std::string>& extra_files) {
  static const std::set<std::string> kRunFiles = {"manifest.json", "trainer_state.json",
                                                  kIndexFile};
  static const std::set<std::string> kExtensions = {".json", ".jinja", ".txt", ".model"};
  for (const auto& entry : fs::directory_iterator(from)) {
    const fs::path name = entry.path().filename();
    if (entry.is_regular_file() && kExtensions.contains(name.extension().string()) &&
        !kRunFiles.contains(name.string())) {
      core::write_file_atomic(to / name, core::read_file(entry.path()));
    }
  }
  for (const auto& [name, content] : extra_files) core::write_file_atomic(to / name, content);
}

void save_model_directory(VisionLanguageModel& model, const fs::path& source_dir,
                          const fs::path& out_dir,
                          const std::map<std::string, std::string>& extra_files,
                          int64_t shard_bytes) {
  core::write_directory_atomic(out_dir, [&](const fs::path& folder) {
    write_companion_files(source_dir, folder, extra_files);
    write_shards(shards_of(weights_as_in(model, source_dir), shard_bytes), folder);
  });
}

}  // namespace streamo::model
