// Checks every name, shape and dtype against the model before anything is read, with the most
// likely cause as a hint, then reads on several threads straight into the parameters.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/process/parallel.h"
#include "core/suggest.h"
#include "model/hf_directory.h"
#include "model/weights/weight_files.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;
using Weights = std::map<std::string, Tensor>;

constexpr const char* kHead = "lm_head.weight";
// First touches of the memory cost more than the disk: one thread alone reads half as fast as two.
constexpr int kReaders = 4;
constexpr const char* kContradiction = "config.json and weights do not belong together";

[[noreturn]] void refuse(const std::string& what, const fs::path& where, const std::string& hint) {
  throw core::Error(core::ErrorKind::kModel, what, where.string(), hint);
}

// Some directories store the tied head besides the embedding that it is.
bool is_tied_copy(const Weights& wanted, const std::string& name) {
  return name == kHead && !wanted.contains(kHead);
}

template <typename Named>
std::vector<std::string> weight_names(const Named& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

// "did you mean X?", or "" when nothing is near.
std::string nearest(std::string name, std::vector<std::string> known) {
  // Slashes for dots: the search favours a shared last component, and here all end in ".weight".
  std::replace(name.begin(), name.end(), '.', '/');
  for (std::string& other : known) std::replace(other.begin(), other.end(), '.', '/');
  std::string found = core::nearest_name(name, known);
  std::replace(found.begin(), found.end(), '/', '.');
  return found.empty() ? "" : "did you mean " + found + "?";
}

// Blocks by where they are: "model.layers" -> one more than the largest number after it.
std::map<std::string, int64_t> count_blocks(const std::vector<std::string>& names) {
  std::map<std::string, int64_t> blocks;
  for (const std::string& name : names) {
    for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
      int64_t number = 0;
      const char* end = name.data() + name.size();
      const auto [stop, error] = std::from_chars(name.data() + dot + 1, end, number);
      if (error != std::errc() || stop == end || *stop != '.') continue;
      int64_t& count = blocks[name.substr(0, dot)];
      count = std::max(count, number + 1);
      break;
    }
  }
  return blocks;
}

// What the names as a whole say about why they do not fit; "" when nothing.
std::string contradiction(const WeightFiles& files, const Weights& wanted) {
  const auto stored = count_blocks(weight_names(files.weights())),
             asked = count_blocks(weight_names(wanted));
  for (const auto& [where, count] : asked) {
    const auto found = stored.find(where);
    if (found == stored.end() || found->second == count) continue;
    return fmt::format("config.json asks for {} blocks {}.*, the weights have {}", count, where,
                       found->second);
  }
  return "";
}

void check_one(const VisionLanguageModel& model, const std::string& name, const TensorEntry& stored,
               const Tensor& wanted, const fs::path& file) {
  if (wanted.sizes() != stored.shape) {
    std::string keys;
    for (size_t i = 0; i < stored.shape.size(); ++i) {
      if (static_cast<size_t>(wanted.dim()) != stored.shape.size()) break;
      const auto side = static_cast<int64_t>(i);
      const std::string key = model.size_key(name, side);
      if (stored.shape[i] == wanted.size(side) || key.empty()) continue;
      keys += (keys.empty() ? " by its " : " and ") + key;
    }
    refuse(fmt::format("weight {} has shape {}, config.json asks for {}{}", stored.name,
                       nlohmann::json(stored.shape).dump(),
                       nlohmann::json(wanted.sizes().vec()).dump(), keys),
           file, kContradiction);
  }
  const bool readable =
      stored.dtype == Dtype::kF32 || stored.dtype == Dtype::kBF16 || stored.dtype == Dtype::kF16;
  if (!readable) {
    refuse(fmt::format("weight {} is of type {}", stored.name, dtype_name(stored.dtype)), file,
           "weights must be F32, BF16 or F16");
  }
}

[[noreturn]] void refuse_unknown(const WeightFiles& files, const Weights& wanted,
                                 const StoredWeight& weight, const fs::path& file) {
  std::vector<std::string> missing;
  for (const auto& [name, tensor] : wanted) {
    if (!files.weights().contains(name)) missing.push_back(name);
  }
  std::string hint = contradiction(files, wanted);
  if (hint.empty()) hint = nearest(published_name(weight.name), missing);
  if (hint.empty()) hint = nearest(published_name(weight.name), weight_names(wanted));
  refuse("weight " + weight.name + " is not one of this model", file,
         hint.empty() ? kContradiction : hint);
}

void refuse_missing(const WeightFiles& files, const Weights& wanted, const fs::path& model_dir) {
  std::vector<std::string> missing;
  for (const auto& [name, tensor] : wanted) {
    if (!files.weights().contains(name)) missing.push_back(name);
  }
  if (missing.empty()) return;
  std::string hint = contradiction(files, wanted);
  if (missing.front() == kHead && missing.size() == 1) {
    hint = "set tie_word_embeddings in config.json if the embedding is the head";
  }
  if (hint.empty()) {
    hint = nearest(missing.front(), weight_names(files.weights()));
    if (!hint.empty()) hint = "the nearest name there: " + hint;
  }
  refuse(fmt::format("{} of {} weights are missing, the first is {} of shape {}", missing.size(),
                     wanted.size(), missing.front(),
                     nlohmann::json(wanted.at(missing.front()).sizes().vec()).dump()),
         model_dir, hint.empty() ? "give a complete model directory" : hint);
}

void check(VisionLanguageModel& model, const WeightFiles& files, const fs::path& model_dir) {
  const Weights wanted = named_weights(model);
  for (const auto& [name, stored] : files.weights()) {
    const fs::path path = model_dir / files.shards()[stored.shard].name;
    const auto to = wanted.find(name);
    if (to == wanted.end() && !is_tied_copy(wanted, name)) {
      refuse_unknown(files, wanted, stored, path);
    }
    const Tensor& tensor = to == wanted.end() ? model.lm_head_weight() : to->second;
    check_one(model, name, files.entry(stored), tensor, path);
  }
  refuse_missing(files, wanted, model_dir);
}

// Taking the embedding for it in silence would drop what the file says.
void check_tied_copy(const SafetensorsFile& file, const std::string& name, const Tensor& embedding,
                     const fs::path& path) {
  const Tensor flat = embedding.detach().view(-1);
  file.read_pieces(name, [&](int64_t first, const Tensor& piece) {
    const Tensor same = flat.slice(0, first, first + piece.size(0)).cpu();
    if (same.equal(piece.to(same.scalar_type()))) return;
    refuse("weight " + name + " differs from the embedding it is tied to", path,
           "set tie_word_embeddings to false in config.json if it is a head of its own");
  });
}

}  // namespace

bool has_weights(const fs::path& model_dir) {
  return WeightFiles::exist_in(model_dir);
}

std::map<std::string, std::string> stored_weight_names(const fs::path& model_dir) {
  std::map<std::string, std::string> names;
  if (!has_weights(model_dir)) return names;
  const WeightFiles files(model_dir);
  for (const auto& [name, stored] : files.weights()) names[name] = stored.name;
  return names;
}

WeightSummary check_weights(VisionLanguageModel& model, const fs::path& model_dir) {
  const WeightFiles files(model_dir);
  check(model, files, model_dir);
  WeightSummary summary;
  summary.files = files.shards().size();
  for (const auto& [name, stored] : files.weights()) {
    const TensorEntry& entry = files.entry(stored);
    summary.values += entry.elements();
    summary.bytes += static_cast<int64_t>(entry.end - entry.begin);
    summary.dtypes.emplace(dtype_name(entry.dtype));
  }
  return summary;
}

void load_weights(VisionLanguageModel& model, const fs::path& model_dir,
                  std::optional<torch::ScalarType> dtype, torch::Device device) {
  const torch::NoGradGuard no_grad;
  const WeightFiles files(model_dir);
  check(model, files, model_dir);
  Weights wanted = named_weights(model);
  struct Read {
    const SafetensorsFile* file;
    const std::string* name;
    Tensor to;
  };
  std::vector<Read> reads;  // in the order of the disk
  for (const Shard& shard : files.shards()) {
    for (const TensorEntry& entry : shard.file.entries()) {
      const std::string name = published_name(entry.name);
      if (is_tied_copy(wanted, name)) continue;
      const torch::ScalarType type = dtype.value_or(scalar_type(entry.dtype));
      Tensor& weight = wanted.at(name);
      weight.set_data(torch::empty(entry.shape, torch::dtype(type).device(device)));
      reads.push_back({&shard.file, &entry.name, weight});
    }
  }
  core::parallel_for(reads.size(), kReaders, [&](size_t i) {
    const torch::NoGradGuard no_grad_here;  // holds for its thread alone
    reads[i].file->read_into(*reads[i].name, reads[i].to);
  });
  const auto head = files.weights().find(kHead);
  if (head != files.weights().end() && is_tied_copy(wanted, kHead)) {
    const Shard& shard = files.shards()[head->second.shard];
    check_tied_copy(shard.file, head->second.name, model.lm_head_weight(), model_dir / shard.name);
  }
}

}  // namespace streamo::model
