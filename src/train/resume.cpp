#include "resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "streamo/core/error.h"
#include "streamo/core/log.h"
#include "streamo/model/hf_directory.h"
#include "streamo/train/run_folder.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> newest_checkpoint(const checkpoint::SnapshotStore& store,
                                          dist::Ranks& ranks) {
  std::optional<fs::path> newest;
  if (ranks.first()) {
    std::vector<std::string> passed_over;
    newest = store.newest_sound(&passed_over);
    for (const std::string& reason : passed_over)
      core::log_warning("checkpoint passed over: {}", reason);
  }
  const std::string found = ranks.gather(newest ? newest->string() : "").front();
  if (found.empty()) return std::nullopt;
  return found;
}

}  // namespace

std::optional<fs::path> checkpoint_to_resume(const std::string& resume,
                                             const checkpoint::SnapshotStore& store,
                                             const fs::path& run_folder, dist::Ranks& ranks) {
  if (resume == "auto") return newest_checkpoint(store, ranks);
  if (resume != "none") return resume;
  if (!store.list().empty()) {
    throw core::Error(
        core::ErrorKind::kConfig, "checkpoint.resume is none and the run folder has checkpoints",
        run_folder.string(), "choose another checkpoint.dir, or set checkpoint.resume=auto");
  }
  return std::nullopt;
}

void require_same_training(const nlohmann::ordered_json& trainer_state, const RunIdentity& now,
                           const fs::path& from) {
  const nlohmann::ordered_json& before = trainer_state.at("config");
  auto changes = run_changing_differences(before, now.effective_config);
  const int64_t micro_batches = before["train"].value("grad_accum_steps", int64_t{1}) *
                                trainer_state.value("ranks", int64_t{1});
  if (micro_batches != now.micro_batches) {
    changes.push_back(
        fmt::format("micro-batches of a step (train.grad_accum_steps x ranks): {} -> {}",
                    micro_batches, now.micro_batches));
  }
  if (!changes.empty()) {
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("the run in this folder has other settings ({})", fmt::join(changes, "; ")),
        from.string(), "use its settings, or choose another checkpoint.dir for a new run");
  }
  if (trainer_state.at("data_fingerprint") != now.data_fingerprint) {
    throw core::Error(core::ErrorKind::kConfig, "data.train is not what this run was started with",
                      from.string(),
                      "restore the files, or choose another checkpoint.dir for a new run");
  }
}

void load_weights(model::VisionLanguageModel& model, const checkpoint::Snapshot& snapshot,
                  const fs::path& from) {
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : model::named_weights(model)) {
    const auto saved = snapshot.weights.find(name);
    if (saved == snapshot.weights.end() || saved->second.sizes() != tensor.sizes()) {
      throw core::Error(core::ErrorKind::kCheckpoint,
                        "weight " + name + " is missing or of another shape", from.string(),
                        "it belongs to another model");
    }
    tensor.copy_(saved->second);
  }
}

}  // namespace streamo::train
