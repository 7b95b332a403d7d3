// A training run on disk: complete or absent, verified before it is used.
//
// checkpoint-<step>/ holds model.safetensors (weights under their Hugging Face names),
// optimizer.safetensors, trainer_state.json, the model directory's config and tokenizer files (so
// that it can be exported by itself) and manifest.json with size and checksum of every other file.
// It appears under its name by rename, when all of it is on disk.
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
  std::map<std::string, torch::Tensor> weights, optimizer;
  nlohmann::ordered_json trainer_state;
};

class SnapshotStore {
 public:
  // `model_dir`: where config.json and the tokenizer files are copied from. `extra_files`: name ->
  // content of files that belong to the model besides.
  SnapshotStore(std::filesystem::path run_dir, std::filesystem::path model_dir, int64_t keep,
                std::map<std::string, std::string> extra_files = {});

  // Writes, publishes, and only then removes checkpoints beyond `keep`. Throws core::Error{kDisk};
  // older checkpoints are untouched then.
  void save(const Snapshot& snapshot) const;

  // The newest checkpoint that verifies. `passed_over` receives a line for each newer one that does
  // not.
  std::optional<std::filesystem::path> newest_sound(std::vector<std::string>* passed_over) const;

  // Checkpoint folders of the run, newest first, sound or not.
  std::vector<std::filesystem::path> list() const;

 private:
  std::filesystem::path run_dir_, model_dir_;
  int64_t keep_;
  std::map<std::string, std::string> extra_files_;
};

// Every file there, of the right size and checksum. The Fault names file and difference.
core::Result<bool> verify_snapshot(const std::filesystem::path& checkpoint);

// Reads a verified checkpoint. Throws core::Error{kCheckpoint}.
Snapshot load_snapshot(const std::filesystem::path& checkpoint);

}  // namespace streamo::checkpoint
