// Sets aside the work that a run did after the checkpoint it resumes from.
#include "run/branch.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/snapshot.h"
#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "core/log.h"
#include "run/best_model.h"
#include "run/kept_plan.h"
#include "run/run_folder.h"
#include "run/run_records.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecord = "branch.json";
constexpr const char* kMetrics = "metrics.jsonl";

// The folder is made when there is something for it.
class Aside {
 public:
  explicit Aside(const fs::path& run_folder) {
    int number = 1;
    do {
      folder_ = run_folder / fmt::format("other-branch-{}", number++);
    } while (fs::exists(folder_));
  }

  void move(const fs::path& entry) {
    take(entry, [&](const fs::path& to) { fs::rename(entry, to); });
  }
  void copy(const fs::path& entry) {
    take(entry, [&](const fs::path& to) { fs::copy(entry, to); });
  }
  bool used() const { return fs::exists(folder_); }
  const fs::path& folder() const { return folder_; }

 private:
  template <typename Take>
  void take(const fs::path& entry, const Take& how) const {
    if (!fs::exists(entry)) return;
    try {
      fs::create_directory(folder_);
      how(folder_ / entry.filename());
    } catch (const fs::filesystem_error& error) {
      throw core::Error(
          core::ErrorKind::kDisk,
          "what another branch of the run left cannot be set aside: " + error.code().message(),
          entry.string(), "check that the run folder may be written");
    }
  }

  fs::path folder_;
};

// What the run did after step `last`.
void move_later(const fs::path& run_folder, int64_t last, Aside& aside) {
  for (const fs::path& path : checkpoint::snapshots_in(run_folder)) {
    if (checkpoint::step_of_checkpoint(path) > last) aside.move(path);
  }
  std::vector<fs::path> evaluations;
  for (const auto& entry : fs::directory_iterator(run_folder)) {
    if (step_of_evaluation(entry.path()).value_or(-1) > last) evaluations.push_back(entry.path());
  }
  for (const fs::path& evaluation : evaluations) aside.move(evaluation);
  const fs::path best = BestModel::directory(run_folder);
  if (BestModel::best_step(run_folder).value_or(-1) > last) aside.move(best);
  const fs::path final_model = RunFolder::final_model(run_folder);
  if (RunFolder::made_by_us(final_model)) aside.move(final_model);
}

}  // namespace

std::optional<fs::path> branch_point(const fs::path& run_folder) {
  const fs::path path = run_folder / kRecord;
  if (!fs::exists(path)) return std::nullopt;
  const auto record = core::read_json<Json>(path);
  const auto from = record ? text_at(*record, "/from") : "";
  if (from.empty()) return std::nullopt;
  return from;
}

void begin_branch(const fs::path& run_folder, const fs::path& from) {
  const auto step = checkpoint::read_trainer_state(from).at("step").get<int64_t>();
  const bool own = checkpoint::step_of_checkpoint(from) == step &&
                   fs::equivalent(from.parent_path(), run_folder);
  Aside aside(run_folder);
  move_later(run_folder, own ? step : -1, aside);
  for (const char* file : {"config.json", kMetrics, KeptPlan::kFile}) {
    if (!own) aside.move(run_folder / file);
    if (own && aside.used()) aside.copy(run_folder / file);
  }
  if (!own) {
    if (RunFolder::made_by_us(run_folder / "base")) aside.move(run_folder / "base");
    const fs::path metrics = from.parent_path() / kMetrics;
    if (fs::exists(metrics))
      core::write_file_atomic(run_folder / kMetrics, core::read_file(metrics));
  }
  // Last: until all is moved the same command begins here again.
  core::write_file_atomic(run_folder / kRecord,
                          core::dump_json(Json{{"from", from.string()}}) + "\n");
  if (aside.used())
    core::log_info("what the run did besides is set aside in {}", aside.folder().string());
}

}  // namespace streamo::run
