// Reads memory-mapped safetensors a megabyte or so at a time, so that two checkpoints of any size
// are compared in constant memory.
#include "compare/compare_checkpoints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json/json.h"
#include "model/weights/safetensors.h"

namespace streamo::compare {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int64_t kPiece = 1 << 20;  // numbers looked at together: a few megabytes, however large

// The tensors of all files of a folder, by name.
class Tensors {
 public:
  explicit Tensors(const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() != ".safetensors") continue;
      files_.emplace_back(entry.path());
      for (const std::string& name : files_.back().names()) where_[name] = files_.size() - 1;
    }
  }

  bool contains(const std::string& name) const { return where_.count(name) > 0; }
  torch::Tensor tensor(const std::string& name) const {
    return files_[where_.at(name)].tensor(name);
  }
  void add_names(std::set<std::string>& names) const {
    for (const auto& [name, file] : where_) names.insert(name);
  }

 private:
  std::vector<model::SafetensorsFile> files_;
  std::map<std::string, size_t> where_;
};

bool same_bytes(const torch::Tensor& first, const torch::Tensor& second) {
  return std::memcmp(first.const_data_ptr(), second.const_data_ptr(), first.nbytes()) == 0;
}

// Of two tensors of one shape and type whose bytes differ.
TensorDifference difference(const std::string& name, const torch::Tensor& first,
                            const torch::Tensor& second) {
  TensorDifference found{.name = name};
  double largest = 0;
  const torch::Tensor a = first.reshape({-1}), b = second.reshape({-1});
  for (int64_t begin = 0; begin < a.numel(); begin += kPiece) {
    const int64_t size = std::min(kPiece, a.numel() - begin);
    const torch::Tensor x = a.narrow(0, begin, size).to(torch::kDouble);
    const torch::Tensor y = b.narrow(0, begin, size).to(torch::kDouble);
    // Equal infinities and two that are no numbers differ by nothing.
    const torch::Tensor same = (x == y) | (x.isnan() & y.isnan());
    const double apart =
        (x - y).abs().nan_to_num(INFINITY, INFINITY).masked_fill(same, 0).max().item<double>();
    found.absolute = std::max(found.absolute, apart);
    largest = std::max({largest, x.abs().nan_to_num(0, 0).max().item<double>(),
                        y.abs().nan_to_num(0, 0).max().item<double>()});
  }
  found.relative = largest > 0 ? found.absolute / largest : found.absolute;
  return found;
}

std::string dtype_and_shape(const torch::Tensor& tensor) {
  return fmt::format("{} [{}]", model::dtype_name(model::safetensors_dtype(tensor.scalar_type())),
                     fmt::join(tensor.sizes(), ", "));
}

// nullopt where they are the same.
std::optional<TensorDifference> compare(const std::string& name, const Tensors& first,
                                        const Tensors& second, double tolerance) {
  constexpr double kBeyondAll = std::numeric_limits<double>::infinity();
  if (!first.contains(name) || !second.contains(name)) {
    return TensorDifference{.name = name,
                            .absolute = kBeyondAll,
                            .relative = kBeyondAll,
                            .reason = second.contains(name) ? "only in B" : "only in A"};
  }
  const torch::Tensor a = first.tensor(name), b = second.tensor(name);
  if (dtype_and_shape(a) != dtype_and_shape(b)) {
    return TensorDifference{
        .name = name,
        .absolute = kBeyondAll,
        .relative = kBeyondAll,
        .reason = fmt::format("{} in A, {} in B", dtype_and_shape(a), dtype_and_shape(b))};
  }
  if (same_bytes(a, b)) return std::nullopt;
  TensorDifference found = difference(name, a, b);
  if (tolerance > 0 && found.relative <= tolerance) return std::nullopt;
  return found;
}

Json trainer_state(const fs::path& folder) {
  const fs::path file = folder / "trainer_state.json";
  const auto state = core::read_json<Json>(file, {.max_bytes = uint64_t{1} << 30});
  return state && state->is_object() ? *state : Json::object();
}

// Settings and data are compared for the whole run; the number of ranks changes nothing.
std::vector<std::string> differing_state(const fs::path& first, const fs::path& second) {
  const Json a = trainer_state(first), b = trainer_state(second);
  std::vector<std::string> found;
  for (const char* key : {"step", "loss_running_counts", "skipped"}) {
    if (a.value(key, Json()) == b.value(key, Json())) continue;
    found.push_back(
        fmt::format("{}: {} -> {}", key, a.value(key, Json()).dump(), b.value(key, Json()).dump()));
  }
  return found;
}

}  // namespace

CheckpointComparison compare_checkpoints(const fs::path& first, const fs::path& second,
                                         double tolerance) {
  CheckpointComparison comparison{.name = first.filename().string()};
  comparison.state = differing_state(first, second);
  const Tensors a(first), b(second);
  std::set<std::string> names;
  a.add_names(names);
  b.add_names(names);
  for (const std::string& name : names) {
    ++comparison.tensors;
    const auto found = compare(name, a, b, tolerance);
    if (!found) continue;
    ++comparison.differing;
    if (!comparison.first) comparison.first = found;
    if (!comparison.worst || found->relative > comparison.worst->relative) comparison.worst = found;
  }
  return comparison;
}

}  // namespace streamo::compare
