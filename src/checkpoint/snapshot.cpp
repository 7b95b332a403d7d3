#include "streamo/checkpoint/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "streamo/core/file.h"
#include "streamo/model/hf_directory.h"
#include "streamo/model/safetensors.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "checkpoint-";
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "trainer_state.json";
constexpr const char* kManifest = "manifest.json";

// Step of a checkpoint folder's name, nullopt for any other name.
std::optional<int64_t> step_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

Json manifest_of(const fs::path& folder) {
  Json files = Json::object();
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = {{"bytes", entry.file_size()},
                                               {"xxh3", core::hash_file(entry.path())}};
  }
  return {{"format", 1}, {"files", files}};
}

std::map<std::string, torch::Tensor> read_all(const fs::path& path) {
  const model::SafetensorsFile file(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const std::string& name : file.names()) tensors[name] = file.tensor(name);
  return tensors;
}

}  // namespace

SnapshotStore::SnapshotStore(fs::path run_dir, fs::path model_dir, int64_t keep,
                             std::map<std::string, std::string> extra_files)
    : run_dir_(std::move(run_dir)),
      model_dir_(std::move(model_dir)),
      keep_(keep),
      extra_files_(std::move(extra_files)) {}

void SnapshotStore::save(const Snapshot& snapshot) const {
  const fs::path path = run_dir_ / fmt::format("{}{}", kPrefix, snapshot.step);
  core::write_directory_atomic(path, [&](const fs::path& folder) {
    model::write_companion_files(model_dir_, folder, extra_files_);
    model::write_weight_layout(model_dir_, folder);
    model::write_safetensors(folder / kWeights, snapshot.weights);
    model::write_safetensors(folder / kOptimizer, snapshot.optimizer);
    core::write_file_atomic(folder / kState, snapshot.trainer_state.dump(2) + "\n");
    const Json manifest = manifest_of(folder);
    core::write_file_atomic(folder / kManifest, manifest.dump(2) + "\n");
  });
  const std::vector<fs::path> all = list();
  for (size_t i = static_cast<size_t>(keep_); i < all.size(); ++i) fs::remove_all(all[i]);
}

std::vector<fs::path> SnapshotStore::list() const {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(run_dir_, absent)) {
    if (const auto step = step_of(entry.path()); step && entry.is_directory()) {
      found.emplace_back(*step, entry.path());
    }
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::optional<fs::path> SnapshotStore::newest_sound(std::vector<std::string>* passed_over) const {
  for (const fs::path& path : list()) {
    const auto sound = verify_snapshot(path);
    if (sound) return path;
    passed_over->push_back(sound.reason());
  }
  return std::nullopt;
}

core::Result<bool> verify_snapshot(const fs::path& checkpoint) {
  const fs::path manifest_path = checkpoint / kManifest;
  if (!fs::exists(manifest_path)) return core::Fault{manifest_path.string() + ": missing"};
  const Json manifest =
      Json::parse(core::read_file(manifest_path), nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_object() || !manifest.contains("files")) {
    return core::Fault{manifest_path.string() + ": not readable"};
  }
  for (const auto& [name, entry] : manifest["files"].items()) {
    const fs::path file = checkpoint / name;
    if (!fs::is_regular_file(file)) return core::Fault{file.string() + ": missing"};
    const auto bytes = entry.value("bytes", uint64_t{0});
    if (fs::file_size(file) != bytes) {
      return core::Fault{
          fmt::format("{}: {} bytes, must be {}", file.string(), fs::file_size(file), bytes)};
    }
    if (core::hash_file(file) != entry.value("xxh3", "")) {
      return core::Fault{file.string() + ": its checksum is wrong, the file is damaged"};
    }
  }
  for (const char* name : {kWeights, kOptimizer, kState}) {
    if (!manifest["files"].contains(name))
      return core::Fault{(checkpoint / name).string() + ": not in the manifest"};
  }
  return true;
}

Snapshot load_snapshot(const fs::path& checkpoint) {
  const auto fail = [&](const std::string& what) {
    throw core::Error(core::ErrorKind::kCheckpoint, what, checkpoint.string(),
                      "choose another checkpoint with checkpoint.resume");
  };
  if (!fs::is_directory(checkpoint)) fail("no such checkpoint");
  if (const auto sound = verify_snapshot(checkpoint); !sound) fail(sound.reason());
  Snapshot snapshot;
  snapshot.weights = read_all(checkpoint / kWeights);
  snapshot.optimizer = read_all(checkpoint / kOptimizer);
  snapshot.trainer_state = Json::parse(core::read_file(checkpoint / kState), nullptr, false);
  if (!snapshot.trainer_state.is_object() || !snapshot.trainer_state.contains("step"))
    fail("trainer_state.json is not readable");
  snapshot.step = snapshot.trainer_state["step"].get<int64_t>();
  return snapshot;
}

}  // namespace streamo::checkpoint
