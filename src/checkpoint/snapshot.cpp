#include "streamo/checkpoint/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "streamo/core/dump_json.h"
#include "streamo/core/fault_point.h"
#include "streamo/core/file.h"
#include "streamo/core/json.h"
#include "streamo/core/log.h"
#include "streamo/model/hf_directory.h"
#include "streamo/model/safetensors.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "checkpoint-", kDamaged = "damaged-";
constexpr const char* kLatest = "latest";
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "trainer_state.json";
constexpr const char* kManifest = "manifest.json";
constexpr int kFormat = 1;
constexpr uint64_t kMaxState = uint64_t{1} << 30;  // it lists samples
constexpr const char* kChooseAnother = "choose another checkpoint with checkpoint.resume";

std::string name_of(int64_t step) {
  return fmt::format("{}{}", kPrefix, step);
}

Json manifest_of(const fs::path& folder) {
  Json files = Json::object();
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = {{"bytes", entry.file_size()},
                                               {"xxh3", core::hash_file(entry.path())}};
  }
  return {{"format", kFormat}, {"files", files}};
}

std::string text_of(const Json& manifest) {
  return manifest.dump(2) + "\n";
}

// Size and checksum of one file.
core::Result<bool> verify_file(const fs::path& file, const Json& entry) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return core::Fault{file.string() + ": missing"};
  const uint64_t bytes = fs::file_size(file, error);
  if (error) return core::Fault{file.string() + ": " + error.message()};
  if (entry != Json{{"bytes", bytes}, {"xxh3", entry.value("xxh3", Json())}}) {
    return core::Fault{fmt::format("{}: {} bytes, must be {}", file.string(), bytes,
                                   entry.value("bytes", Json()).dump())};
  }
  try {
    if (Json(core::hash_file(file)) == entry["xxh3"]) return true;
  } catch (const core::Error& unreadable) {
    return core::Fault{unreadable.summary()};
  }
  return core::Fault{file.string() + ": its checksum is wrong, the file is damaged"};
}

void set_aside(const fs::path& checkpoint) {
  const std::string name = std::string(kDamaged) + checkpoint.filename().string();
  std::error_code ignored;  // in a folder that cannot be written it stays, and is passed over again
  fs::remove_all(checkpoint.parent_path() / name, ignored);
  fs::rename(checkpoint, checkpoint.parent_path() / name, ignored);
}

std::map<std::string, torch::Tensor> read_all(const fs::path& path) {
  const model::SafetensorsFile file(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const std::string& name : file.names()) tensors[name] = file.tensor(name);
  return tensors;
}

}  // namespace

std::optional<int64_t> step_of_checkpoint(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

SnapshotStore::SnapshotStore(fs::path run_dir, fs::path model_dir, int64_t keep,
                             std::map<std::string, std::string> extra_files)
    : run_dir_(std::move(run_dir)),
      model_dir_(std::move(model_dir)),
      keep_(keep),
      extra_files_(std::move(extra_files)) {}

void SnapshotStore::save(const Snapshot& snapshot) const {
  core::fault_point("checkpoint.save");
  require_space(snapshot);
  const fs::path path = run_dir_ / name_of(snapshot.step);
  core::write_directory_atomic(path, [&](const fs::path& folder) {
    model::write_companion_files(model_dir_, folder, extra_files_);
    model::write_weight_layout(model_dir_, folder);
    model::write_safetensors(folder / kWeights, snapshot.weights);
    model::write_safetensors(folder / kOptimizer, snapshot.optimizer);
    core::write_file_atomic(folder / kState, core::dump_json(snapshot.trainer_state, 2) + "\n");
    core::write_file_atomic(folder / kManifest, text_of(manifest_of(folder)));
  });
  finish_save(snapshot.step);
}

void SnapshotStore::finish_save(int64_t step) const {
  core::write_file_atomic(run_dir_ / kLatest, name_of(step) + "\n");
  prune(step);
}

// Said before gigabytes are written in vain.
void SnapshotStore::require_space(const Snapshot& snapshot) const {
  std::error_code error;
  const fs::space_info space = fs::space(run_dir_, error);
  const uint64_t needed = tensor_bytes(snapshot);
  if (error || space.available >= needed) return;
  throw core::Error(core::ErrorKind::kDisk,
                    fmt::format("the disk is too full for a checkpoint: {} bytes are needed, {} "
                                "are free",
                                needed, space.available),
                    run_dir_.string(),
                    "free some space; it takes checkpoint.keep + 1 times the size of one");
}

// The one just saved stays whatever else lies there, also checkpoints of later steps (of a run that
// went on from an earlier one).
void SnapshotStore::prune(int64_t saved_step) const {
  const std::vector<fs::path> all = list();
  for (size_t i = static_cast<size_t>(keep_); i < all.size(); ++i) {
    if (all[i].filename() == name_of(saved_step)) continue;
    try {
      core::remove_directory_atomic(all[i]);
    } catch (const core::Error& error) {
      core::log_warning("an old checkpoint stays: {}", error.summary());
    }
  }
}

std::vector<fs::path> SnapshotStore::list() const {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(run_dir_, absent)) {
    if (const auto step = step_of_checkpoint(entry.path()); step && entry.is_directory()) {
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
    set_aside(path);
  }
  return std::nullopt;
}

uint64_t tensor_bytes(const Snapshot& snapshot) {
  uint64_t bytes = 0;
  for (const auto* tensors : {&snapshot.weights, &snapshot.optimizer})
    for (const auto& [name, tensor] : *tensors) bytes += tensor.nbytes();
  return bytes;
}

core::Result<bool> verify_snapshot(const fs::path& checkpoint) {
  const fs::path manifest_path = checkpoint / kManifest;
  if (!fs::is_regular_file(manifest_path)) return core::Fault{manifest_path.string() + ": missing"};
  const auto read = core::read_json<Json>(manifest_path);
  if (!read) return core::Fault{read.reason() + ", the file is damaged"};
  const Json& manifest = *read;
  // Written again it must be the same: no byte of it may change unnoticed either.
  if (!manifest.is_object() || text_of(manifest) != core::read_file(manifest_path) ||
      !manifest.contains("files") || !manifest["files"].is_object()) {
    return core::Fault{manifest_path.string() + ": not as it was written, the file is damaged"};
  }
  if (manifest.value("format", Json()) != kFormat) {
    return core::Fault{fmt::format("{}: format {}, this program reads {}", manifest_path.string(),
                                   manifest.value("format", Json()).dump(), kFormat)};
  }
  for (const auto& [name, entry] : manifest["files"].items()) {
    if (name.find('/') != std::string::npos || !entry.is_object())
      return core::Fault{manifest_path.string() + ": names a file outside, the file is damaged"};
    if (auto sound = verify_file(checkpoint / name, entry); !sound) return sound;
  }
  for (const char* name : {kWeights, kOptimizer, kState}) {
    if (!manifest["files"].contains(name))
      return core::Fault{(checkpoint / name).string() + ": not in the manifest"};
  }
  return true;
}

Snapshot load_snapshot(const fs::path& checkpoint) {
  const auto fail = [&](const std::string& what) {
    throw core::Error(core::ErrorKind::kCheckpoint, what, checkpoint.string(), kChooseAnother);
  };
  if (!fs::is_directory(checkpoint)) fail("no such checkpoint");
  if (const auto sound = verify_snapshot(checkpoint); !sound) fail(sound.reason());
  Snapshot snapshot;
  snapshot.weights = read_all(checkpoint / kWeights);
  snapshot.optimizer = read_all(checkpoint / kOptimizer);
  snapshot.trainer_state = core::require_json_object<Json>(
      checkpoint / kState, core::ErrorKind::kCheckpoint, kChooseAnother, {.max_bytes = kMaxState});
  if (!snapshot.trainer_state.value("step", Json()).is_number_integer())
    fail("trainer_state.json names no step");
  snapshot.step = snapshot.trainer_state["step"].get<int64_t>();
  return snapshot;
}

}  // namespace streamo::checkpoint
