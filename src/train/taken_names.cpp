// Each name that a run writes is free, or a run's: each kind of file is told by its own mark.
#include "train/taken_names.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "checkpoint/snapshot.h"
#include "config/run_config.h"
#include "core/io/output.h"
#include "core/json/json.h"
#include "report/page.h"
#include "report/report.h"
#include "run/best_model.h"
#include "run/run_folder.h"
#include "run/run_records.h"
#include "streamo/core/error.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;

// Of a run: with every section, as nobody writes it by hand.
bool is_effective_config(const fs::path& path) {
  config::RunConfig defaults;
  const auto config = core::read_json(path);
  const auto sections = config::make_schema(defaults).values();
  for (const auto& [section, settings] : sections.items()) {
    if (!config || !config->contains(section)) return false;
  }
  return true;
}

void check_each_name(const fs::path& run_dir) {
  for (const fs::path& folder :
       {run_dir / "base", run::RunFolder::final_model(run_dir), run::BestModel::directory(run_dir)})
    core::output_directory(folder);
  core::output_file(report::report_page(run_dir), {}, report::is_our_page());
  core::output_file(run_dir / "config.json", {}, is_effective_config);
  core::output_file(run_dir / "metrics.jsonl", {}, core::holds_mark("\"step\":"));
  core::output_file(run_dir / "skipped.jsonl", {}, core::holds_mark("\"reason\":"));
  core::output_file(run_dir / "plan.jsonl", {}, core::holds_mark("[["));
  core::output_file(run_dir / "latest", {}, core::holds_mark("checkpoint-"));
  core::output_file(run_dir / "skipped-eval.jsonl", {}, core::holds_mark("\"reason\":"));
  core::output_file(run_dir / "nonfinite_step.json", {}, core::holds_mark("\"micro_batches\":"));
  std::error_code none_yet;
  for (const auto& entry : fs::directory_iterator(run_dir, none_yet)) {
    if (run::step_of_evaluation(entry.path()))
      core::output_file(entry.path(), {}, core::holds_mark("\"macro_f1\":"));
  }
}

}  // namespace

void require_free_names(const fs::path& run_dir) {
  if (!checkpoint::snapshots_in(run_dir).empty()) return;
  try {
    check_each_name(run_dir);
  } catch (const core::Error& taken) {
    throw core::Error(core::ErrorKind::kConfig, taken.summary(), {},
                      "move it, or choose another checkpoint.dir");
  }
}

}  // namespace streamo::train
