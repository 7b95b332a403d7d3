// A training run on disk: complete or absent, verified before it is used.
//
// checkpoint-<step>/ holds model.safetensors (weights under their Hugging Face names),
// optimizer.safetensors, trainer_state.json, the model directory's config and tokenizer files (so
// that it can be exported by itself) and manifest.json with size and checksum of every other file.
// The order of a save is: write and flush each file, the manifest, the folder; rename it to its
// name; flush the run folder; only then write `latest` (the folder's name, for people and scripts);
// only then remove what is beyond `keep`. docs/checkpoints.md tells what each kind of failure
// leaves.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::checkpoint {

struct Snapshot {
  int64_t step = 0;
  std::map<std::string, torch::Tensor> weights = {}, optimizer = {};
  nlohmann::ordered_json trainer_state;
};

class SnapshotStore {
 public:
  // `model_dir`: where config.json and the tokenizer files are copied from. `extra_files`: name ->
  // content of files that belong to the model besides.
  SnapshotStore(std::filesystem::path run_dir, std::filesystem::path model_dir, int64_t keep,
                std::map<std::string, std::string> extra_files = {});

  // Throws core::Error{kDisk} when it is not published, with the bytes needed and free when the
  // disk is full; older checkpoints are untouched then. That old ones cannot be removed is a
  // warning.
  void save(const Snapshot& snapshot) const;

  // What comes after publishing: `latest` and the removal of old ones. For a start that goes on
  // from the newest checkpoint, as the former process may have died in between. Throws
  // core::Error{kDisk} as save() does.
  void finish_save(int64_t step) const;

  // The newest checkpoint that verifies. `passed_over` receives a line for each newer one that does
  // not; it is set aside under the name damaged-checkpoint-<step>, where that can be done. For who
  // alone writes in the folder.
  std::optional<std::filesystem::path> newest_sound(std::vector<std::string>* passed_over) const;

  // Checkpoint folders of the run, newest first, sound or not.
  std::vector<std::filesystem::path> list() const;

 private:
  void require_space(const Snapshot& snapshot) const;
  void prune(int64_t saved_step) const;

  std::filesystem::path run_dir_, model_dir_;
  int64_t keep_;
  std::map<std::string, std::string> extra_files_;
};

// Step of a checkpoint folder's name, nullopt for any other name.
std::optional<int64_t> step_of_checkpoint(const std::filesystem::path& path);

// Bytes of its tensors.
uint64_t tensor_bytes(const Snapshot& snapshot);

// The manifest as it was written, every file it names there, of the right size and checksum. The
// Fault names file and difference.
core::Result<bool> verify_snapshot(const std::filesystem::path& checkpoint);

// Reads a verified checkpoint. Throws core::Error{kCheckpoint}.
Snapshot load_snapshot(const std::filesystem::path& checkpoint);

}  // namespace streamo::checkpoint
