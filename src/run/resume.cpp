// Finds the checkpoint to resume from, and verifies that it belongs to this run.
#include "run/resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <vector>

#include "core/io/file.h"
#include "core/log.h"
#include "run/branch.h"
#include "run/run_folder.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kNewRun = ", or choose another checkpoint.dir for a new run";

std::optional<fs::path> newest_checkpoint(const fs::path& run_folder) {
  const checkpoint::NewestSnapshot newest = checkpoint::newest_sound_snapshot(run_folder);
  for (const auto& [path, reason] : newest.passed_over) {
    core::log_warning("checkpoint passed over: {}", reason);
    checkpoint::set_aside(path, "damaged-");
  }
  return newest.path;
}

// Of a run that became a branch: until it has saved it has no checkpoint of its own.
std::optional<fs::path> newest_of_branch(const fs::path& run_folder) {
  if (auto newest = newest_checkpoint(run_folder)) return newest;
  auto point = branch_point(run_folder);
  if (point) checkpoint::require_sound(*point);
  return point;
}

struct Found {
  std::optional<fs::path> path = {};
  bool begins_branch = false;  // named for the first time
};
Found checkpoint_to_resume(const std::string& resume, const fs::path& run_folder) {
  if (resume == "auto") return {newest_of_branch(run_folder), false};
  if (resume != "none") {
    const fs::path named = fs::weakly_canonical(resume);
    if (branch_point(run_folder) == named) return {newest_of_branch(run_folder), false};
    checkpoint::require_sound(named);
    return {named, true};
  }
  if (!checkpoint::snapshots_in(run_folder).empty()) {
    throw core::Error(
        core::ErrorKind::kConfig, "checkpoint.resume is none and the run folder has checkpoints",
        run_folder.string(), "choose another checkpoint.dir, or set checkpoint.resume=auto");
  }
  return {};
}

bool same_content(const Json& a, const Json& b) {
  return a.value("records", Json()) == b.value("records", Json()) &&
         a.value("xxh3", Json()) == b.value("xxh3", Json());
}

std::vector<std::string> data_differences(const Json& before, const Json& now) {
  if (before.size() != now.size())
    return {fmt::format("{} files -> {}", before.size(), now.size())};
  std::vector<std::string> found;
  for (size_t i = 0; i < now.size(); ++i) {
    if (same_content(before[i], now[i])) continue;
    const auto records = [](const Json& file) { return file.value("records", 0); };
    const auto name = now[i].value("file", "");
    found.push_back(
        records(before[i]) == records(now[i])
            ? name + ": other content"
            : fmt::format("{}: {} records -> {}", name, records(before[i]), records(now[i])));
  }
  return found;
}

// Of a checkpoint whose checksums are right, but whoever made it may have written anything.
void require_shape(const ResumePoint& from) {
  const Json& state = from.trainer_state;
  const auto is = [&](const char* key, Json::value_t type) {
    return state.contains(key) && state[key].type() == type;
  };
  const bool right = is("config", Json::value_t::object) && is("data", Json::value_t::array) &&
                     is("skipped", Json::value_t::object) && is("plan", Json::value_t::string) &&
                     is("loss_running_counts", Json::value_t::array) &&
                     state["loss_running_counts"].size() == 3;
  if (right) return;
  throw core::Error(core::ErrorKind::kCheckpoint, "trainer_state.json is not as a run writes it",
                    from.path.string(), "choose another checkpoint with checkpoint.resume");
}

void require_same_training(const ResumePoint& from, const RunIdentity& now, int ranks) {
  require_shape(from);
  const Json& before = from.trainer_state.at("config");
  auto changes = run_changing_differences(before, now.effective_config);
  const auto micro_batches_of = [](const Json& config, int64_t of_ranks) {
    return config["train"].value("grad_accum_steps", int64_t{1}) * of_ranks;
  };
  const int64_t then = micro_batches_of(before, from.trainer_state.value("ranks", int64_t{1}));
  const int64_t here = micro_batches_of(now.effective_config, ranks);
  if (then != here) {
    changes.push_back(fmt::format(
        "micro-batches of a step (train.grad_accum_steps x ranks): {} -> {}", then, here));
  }
  if (!changes.empty()) {
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("the run in this folder has other settings ({})", fmt::join(changes, "; ")),
        from.path.string(), std::string("use its settings") + kNewRun);
  }
  const auto files = data_differences(from.trainer_state.at("data"), now.data);
  if (!files.empty()) {
    throw core::Error(core::ErrorKind::kConfig,
                      fmt::format("data.train is not what this run was started with ({})",
                                  fmt::join(files, "; ")),
                      from.path.string(), std::string("restore the files") + kNewRun);
  }
}

}  // namespace

Json data_identity(const std::vector<data::FileContent>& files) {
  Json identity = Json::array();
  for (const data::FileContent& file : files)
    identity.push_back({{"file", file.name}, {"records", file.records}, {"xxh3", file.hash}});
  return identity;
}

std::optional<ResumePoint> find_resume_point(const std::string& resume, const fs::path& run_folder,
                                             const RunIdentity& run, parallel::Ranks& ranks) {
  Found found;
  if (ranks.first()) found = checkpoint_to_resume(resume, run_folder);
  const std::string path = ranks.gather(found.path ? found.path->string() : "").front();
  if (path.empty()) return std::nullopt;
  ResumePoint point{path, checkpoint::read_trainer_state(path)};
  require_same_training(point, run, ranks.size());
  if (found.begins_branch) begin_branch(run_folder, point.path);
  ranks.barrier();
  return point;
}

void require_same_model_files(const ResumePoint& from, const fs::path& model_dir) {
  for (const char* name :
       {"config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json",
        "merges.txt", "added_tokens.json", "preprocessor_config.json", "processor_config.json"}) {
    const auto content = [&](const fs::path& folder) {
      return fs::exists(folder / name) ? core::read_file(folder / name) : "";
    };
    if (content(from.path) == content(model_dir)) continue;
    throw core::Error(
        core::ErrorKind::kConfig, "this file of the model is not the one that the run began with",
        (model_dir / name).string(), "restore it from " + from.path.string() + kNewRun);
  }
}

std::map<std::string, std::string> skipped_before(const ResumePoint& from, const Json& data) {
  const Json& files = from.trainer_state.at("data");
  std::map<std::string, std::string> skipped;
  for (const auto& [id, reason] : from.trainer_state.at("skipped").items()) {
    const size_t colon = id.rfind(':');
    for (size_t i = 0; i < files.size(); ++i) {
      if (files[i].at("file") == id.substr(0, colon))
        skipped[data[i].at("file").get<std::string>() + id.substr(colon)] = reason;
    }
  }
  return skipped;
}

}  // namespace streamo::run
