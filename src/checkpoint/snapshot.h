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
  // disk is full, or when a folder that no save of ours made has its name; older checkpoints are
  // untouched then. That old ones cannot be removed is a warning.
  void save(const Snapshot& snapshot) const;

  // What comes after publishing: `latest` and the removal of old ones. For a start that goes on
  // from the newest checkpoint, as the former process may have died in between. Throws
  // core::Error{kDisk} as save() does.
  void finish_save(int64_t step) const;

 private:
  void require_space(const Snapshot& snapshot) const;
  void prune(int64_t saved_step) const;

  std::filesystem::path run_dir_, model_dir_;
  int64_t keep_;
  std::map<std::string, std::string> extra_files_;
};

// The checkpoints in a run folder that save() wrote, newest first, sound or not. What a user put
// there under such a name is told by its manifest, and is none of them.
std::vector<std::filesystem::path> snapshots_in(const std::filesystem::path& run_dir);

struct NewestSnapshot {
  struct PassedOver {
    std::filesystem::path path;
    std::string reason;
  };
  std::optional<std::filesystem::path> path;
  std::vector<PassedOver> passed_over;  // newer folders of such names that do not verify
};
// The newest checkpoint in a run folder that save() wrote and that verifies.
NewestSnapshot newest_sound_snapshot(const std::filesystem::path& run_dir);

// Renames a checkpoint to <prefix>checkpoint-<step>, with a number behind where that is taken.
// Leaves alone what save() did not write, and what cannot be renamed. For who alone writes in the
// folder.
void set_aside(const std::filesystem::path& checkpoint, const std::string& prefix);

// Step of a checkpoint folder's name, nullopt for any other name.
std::optional<int64_t> step_of_checkpoint(const std::filesystem::path& path);

// Bytes of its tensors.
uint64_t tensor_bytes(const Snapshot& snapshot);

// The manifest as it was written, every file it names there, of the right size and checksum. The
// Fault names file and difference.
core::Result<bool> verify_snapshot(const std::filesystem::path& checkpoint);

// Throws core::Error{kCheckpoint} when there is none, or it does not verify.
void require_sound(const std::filesystem::path& checkpoint);

// Of a checkpoint that was verified; its weights are those of a model directory. Throw
// core::Error{kCheckpoint}.
nlohmann::ordered_json read_trainer_state(const std::filesystem::path& checkpoint);
std::map<std::string, torch::Tensor> read_optimizer(const std::filesystem::path& checkpoint);
// All of it, verified first. Throws core::Error{kCheckpoint}.
Snapshot load_snapshot(const std::filesystem::path& checkpoint);

}  // namespace streamo::checkpoint
