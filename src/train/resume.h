// Which checkpoint a run goes on from, and whether it is of this run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "streamo/checkpoint/snapshot.h"
#include "streamo/dist/ranks.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::train {

// Collective. By checkpoint.resume: "auto" is the newest sound one in the store (the first rank
// looks, all take what it found; what was passed over is said), "none" a run that has none, else a
// path. Throws core::Error{kConfig} when it is "none" and there are checkpoints.
std::optional<std::filesystem::path> checkpoint_to_resume(const std::string& resume,
                                                          const checkpoint::SnapshotStore& store,
                                                          const std::filesystem::path& run_folder,
                                                          dist::Ranks& ranks);

// What must be the same before and after; `micro_batches` of a step over all ranks.
struct RunIdentity {
  const nlohmann::ordered_json& effective_config;
  const std::string& data_fingerprint;
  int64_t micro_batches;
};
// Throws core::Error{kConfig} when the trainer state of the checkpoint `from` is of another run,
// naming what differs.
void require_same_training(const nlohmann::ordered_json& trainer_state, const RunIdentity& now,
                           const std::filesystem::path& from);

// Throws core::Error{kCheckpoint} when one is missing or has another shape.
void load_weights(model::VisionLanguageModel& model, const checkpoint::Snapshot& snapshot,
                  const std::filesystem::path& from);

}  // namespace streamo::train
