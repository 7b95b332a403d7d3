// The layout of a checkpoint folder, the manifest of checksums that decides whether it is sound,
// and the rules for what may be pruned, renamed or overwritten.
#include "checkpoint/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/io/fault_point.h"
#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "core/log.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "checkpoint-";
constexpr const char* kLatest = "latest";
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "trainer_state.json";
constexpr const char* kManifest = "manifest.json";
constexpr int kFormat = 2;
constexpr uint64_t kMaxState = uint64_t{1} << 30;  // it lists samples
constexpr const char* kChooseAnother = "choose another checkpoint with checkpoint.resume";

std::string checkpoint_name(int64_t step) {
  return fmt::format("{}{}", kPrefix, step);
}

Json make_manifest(const fs::path& folder, int64_t step) {
  Json files = Json::object();
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = {{"bytes", entry.file_size()},
                                               {"xxh3", core::hash_file(entry.path())}};
  }
  return {{"format", kFormat}, {"step", step}, {"files", files}};
}

std::string manifest_text(const Json& manifest) {
  return manifest.dump(2) + "\n";
}

std::string other_format(const fs::path& path, const Json& format) {
  return fmt::format("{}: of format {}, this program reads {}", path.string(), format.dump(),
                     kFormat);
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
    if (unreadable.kind() == core::ErrorKind::kMemory) throw;  // says nothing about the file
    return core::Fault{unreadable.summary()};
  }
  return core::Fault{file.string() + ": its checksum is wrong, the file is damaged"};
}

// Empty when it is missing or damaged.
Json read_manifest(const fs::path& checkpoint) {
  const auto manifest = core::read_json<Json>(checkpoint / kManifest);
  return manifest && manifest->is_object() ? *manifest : Json::object();
}

// Whether save() wrote it under this very name, as far as can be told when it is damaged: only what
// did is ever moved.
bool is_ours(const fs::path& folder) {
  const Json manifest = read_manifest(folder);
  if (manifest.empty()) return fs::exists(folder / kState) || fs::exists(folder / kOptimizer);
  return manifest.contains("format") &&
         manifest.value("step", Json()) == Json(step_of_checkpoint(folder).value_or(-1));
}

// The same, and sure enough to delete it: without a readable manifest a folder is at most renamed.
bool is_certainly_ours(const fs::path& folder) {
  return !read_manifest(folder).empty() && is_ours(folder);
}

// By name, newest first.
std::vector<fs::path> folders_by_step(const fs::path& run_dir) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(run_dir, absent)) {
    if (const auto step = step_of_checkpoint(entry.path()); step && entry.is_directory())
      found.emplace_back(*step, entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

[[noreturn]] void refuse(const fs::path& checkpoint, const std::string& what) {
  throw core::Error(core::ErrorKind::kCheckpoint, what, checkpoint.string(),
                    "choose another checkpoint with checkpoint.resume");
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
  const fs::path path = run_dir_ / checkpoint_name(snapshot.step);
  if (fs::exists(path) && !is_ours(path)) {
    throw core::Error(core::ErrorKind::kDisk,
                      "what has the checkpoint's name was not written by this program",
                      path.string(), "move it out of the run folder");
  }
  core::write_directory_atomic(path, [&](const fs::path& folder) {
    model::write_companion_files(model_dir_, folder, extra_files_);
    model::write_weight_layout(model_dir_, folder);
    model::write_safetensors(folder / kWeights, snapshot.weights);
    model::write_safetensors(folder / kOptimizer, snapshot.optimizer);
    core::write_file_atomic(folder / kState, core::dump_json(snapshot.trainer_state, 2) + "\n");
    // Last, and from what is on disk: its checksums are those of the bytes as they read back.
    core::write_file_atomic(folder / kManifest,
                            manifest_text(make_manifest(folder, snapshot.step)));
  });
  finish_save(snapshot.step);
}

// Apart from save(), because a crash may come between the rename and this: the next start repeats
// it.
void SnapshotStore::finish_save(int64_t step) const {
  core::write_file_atomic(run_dir_ / kLatest, checkpoint_name(step) + "\n");
  prune(step);
}

// Fails before gigabytes are written for nothing.
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
  int64_t kept = 0;
  // Newest first: those beyond `keep_` go.
  for (const fs::path& path : folders_by_step(run_dir_)) {
    if (!is_certainly_ours(path) || kept++ < keep_ ||
        path.filename() == checkpoint_name(saved_step))
      continue;
    try {
      core::remove_directory_atomic(path);
    } catch (const core::Error& error) {
      core::log_warning("an old checkpoint stays: {}", error.summary());
    }
  }
}

std::vector<fs::path> snapshots_in(const fs::path& run_dir) {
  std::vector<fs::path> paths = folders_by_step(run_dir);
  std::erase_if(paths, [](const fs::path& path) { return !is_ours(path); });
  return paths;
}

NewestSnapshot newest_sound_snapshot(const fs::path& run_dir) {
  NewestSnapshot newest;
  for (const fs::path& path : folders_by_step(run_dir)) {
    const Json format = read_manifest(path).value("format", Json());
    // Written by another version is not damaged: to skip it would silently resume from an older
    // one.
    if (format.is_number() && format != kFormat) refuse(path, other_format(path, format));
    const auto sound = verify_snapshot(path);
    if (sound && is_ours(path)) {
      newest.path = path;
      break;
    }
    newest.passed_over.push_back(
        {path, sound ? path.string() + ": a copy of another checkpoint" : sound.reason()});
  }
  return newest;
}

void set_aside(const fs::path& checkpoint, const std::string& prefix) {
  if (!is_ours(checkpoint)) return;
  const fs::path wanted = checkpoint.parent_path() / (prefix + checkpoint.filename().string());
  fs::path to = wanted;
  for (int number = 2; fs::exists(to); ++number) to = fmt::format("{}-{}", wanted.string(), number);
  std::error_code ignored;  // in a folder that cannot be written it stays, and is passed over again
  fs::rename(checkpoint, to, ignored);
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
  // The manifest has no checksum of its own. Written again it must be identical, so that no byte of
  // it can change unnoticed.
  if (!manifest.is_object() || manifest_text(manifest) != core::read_file(manifest_path) ||
      !manifest.contains("files") || !manifest["files"].is_object()) {
    return core::Fault{manifest_path.string() + ": not as it was written, the file is damaged"};
  }
  if (manifest.value("format", Json()) != kFormat) {
    return core::Fault{other_format(manifest_path, manifest.value("format", Json()))};
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

Json read_trainer_state(const fs::path& checkpoint) {
  Json state = core::require_json_object<Json>(checkpoint / kState, core::ErrorKind::kCheckpoint,
                                               kChooseAnother, {.max_bytes = kMaxState});
  if (!state.value("step", Json()).is_number_integer())
    refuse(checkpoint, "trainer_state.json names no step");
  return state;
}

std::map<std::string, torch::Tensor> read_optimizer(const fs::path& checkpoint) {
  return read_all(checkpoint / kOptimizer);
}

void require_sound(const fs::path& checkpoint) {
  if (!fs::is_directory(checkpoint)) refuse(checkpoint, "no such checkpoint");
  if (const auto sound = verify_snapshot(checkpoint); !sound) refuse(checkpoint, sound.reason());
}

Snapshot load_snapshot(const fs::path& checkpoint) {
  require_sound(checkpoint);
  Snapshot snapshot;
  snapshot.weights = read_all(checkpoint / kWeights);
  snapshot.optimizer = read_optimizer(checkpoint);
  snapshot.trainer_state = read_trainer_state(checkpoint);
  snapshot.step = snapshot.trainer_state["step"].get<int64_t>();
  return snapshot;
}

}  // namespace streamo::checkpoint
