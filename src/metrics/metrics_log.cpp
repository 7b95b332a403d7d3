// Writes a run's metrics as JSON Lines and TensorBoard events.
#include "metrics/metrics_log.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "core/io/append_log.h"
#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "core/log.h"
#include "metrics/tensorboard.h"
#include "streamo/text/special_tokens.h"

namespace streamo::metrics {
namespace {

using Json = nlohmann::ordered_json;
using Scalars = std::vector<std::pair<std::string, double>>;

std::optional<double> recall(const StepMetrics& metrics, size_t state) {
  if (metrics.state_targets[state] == 0) return std::nullopt;
  return static_cast<double>(metrics.state_hits[state]) /
         static_cast<double>(metrics.state_targets[state]);
}

Scalars to_scalars(const StepMetrics& metrics) {
  constexpr double kGibibyte = 1024.0 * 1024 * 1024;
  Scalars scalars = {
      {"loss/total", metrics.loss},
      {"loss/text", metrics.loss_text},
      {"loss/state", metrics.loss_state},
      {"optim/lr", metrics.lr},
      {"optim/grad_norm", metrics.grad_norm},
      {"speed/tokens_per_second", metrics.tokens_per_second},
      {"speed/video_seconds_per_second", metrics.video_seconds_per_second},
      {"speed/data_wait", metrics.data_wait},
      {"speed/rank_balance", metrics.rank_balance},
      {"memory/peak_gib", static_cast<double>(metrics.peak_memory_bytes) / kGibibyte},
      {"data/skipped", static_cast<double>(metrics.skipped)}};
  for (size_t state = 0; state < metrics.state_targets.size(); ++state) {
    if (const auto value = recall(metrics, state)) {
      scalars.emplace_back("recall/" + std::string(text::kStateNames[state]), *value);
    }
  }
  return scalars;
}

// The numbers of an evaluation, nested objects as `a/b/c`.
void collect_numbers(const Json& value, const std::string& tag, Scalars& scalars) {
  for (const auto& [name, entry] : value.items()) {
    if (entry.is_object()) collect_numbers(entry, tag + "/" + name, scalars);
    if (entry.is_number()) scalars.emplace_back(tag + "/" + name, entry.get<double>());
  }
}

Json only_numbers(const Json& value) {
  Json kept = Json::object();
  for (const auto& [name, entry] : value.items()) {
    if (entry.is_number()) kept[name] = entry;
    if (entry.is_object()) kept[name] = only_numbers(entry);
  }
  return kept;
}

struct KeptLines {
  std::string text;
  double train_seconds = 0;  // of the last one
};

KeptLines lines_up_to(const std::filesystem::path& path, int64_t last_step) {
  KeptLines kept;
  if (!std::filesystem::exists(path)) return kept;
  std::istringstream lines(core::read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const auto entry = core::parse_json(line);
    if (!entry || !entry->is_object()) continue;
    const auto step = entry->value("step", nlohmann::json());
    if (!step.is_number() || step > last_step) continue;
    kept.text += line + "\n";
    const auto seconds = entry->find("train_seconds");
    if (seconds != entry->end() && seconds->is_number()) kept.train_seconds = *seconds;
  }
  return kept;
}

}  // namespace

Json to_json(const StepMetrics& metrics) {
  Json states;
  for (size_t state = 0; state < metrics.state_targets.size(); ++state) {
    const auto value = recall(metrics, state);
    states[std::string(text::kStateNames[state])] = {{"targets", metrics.state_targets[state]},
                                                     {"hits", metrics.state_hits[state]},
                                                     {"recall", value ? Json(*value) : Json()}};
  }
  // A number that is not finite is written as null by the library: JSON has no other word for it.
  return {{"step", metrics.step},
          {"total_steps", metrics.total_steps},
          {"epoch", metrics.epoch},
          {"loss", metrics.loss},
          {"loss_text", metrics.loss_text},
          {"loss_state", metrics.loss_state},
          {"states", std::move(states)},
          {"lr", metrics.lr},
          {"grad_norm", metrics.grad_norm},
          {"tokens", metrics.tokens},
          {"supervised_tokens", metrics.supervised_tokens},
          {"tokens_per_second", metrics.tokens_per_second},
          {"video_seconds_per_second", metrics.video_seconds_per_second},
          {"data_wait", metrics.data_wait},
          {"rank_balance", metrics.rank_balance},
          {"peak_memory_bytes", metrics.peak_memory_bytes},
          {"eta_seconds", metrics.eta_seconds},
          {"skipped", metrics.skipped}};
}

struct MetricsLog::Impl {
  explicit Impl(const std::filesystem::path& run_dir) : file(run_dir / "metrics.jsonl") {}

  core::AppendLog file;
  double started = core::monotonic_seconds();  // less the time of earlier starts
  std::optional<TensorBoardWriter> tensorboard;

  void append(const Json& entry) { file.append(core::dump_json(entry) + "\n"); }
};

MetricsLog::MetricsLog(const std::filesystem::path& run_dir, int64_t resume_step, bool tensorboard)
    : impl_(std::make_unique<Impl>(run_dir)) {
  const KeptLines kept = lines_up_to(impl_->file.path(), resume_step);
  core::write_file_atomic(impl_->file.path(), kept.text);
  impl_->started -= kept.train_seconds;
  if (tensorboard) impl_->tensorboard.emplace(run_dir, resume_step);
}

MetricsLog::~MetricsLog() = default;

bool MetricsLog::is_behind() const {
  return impl_->file.is_behind();
}

void MetricsLog::log(const StepMetrics& metrics) {
  Json entry = to_json(metrics);
  entry["train_seconds"] = core::monotonic_seconds() - impl_->started;
  impl_->append(entry);
  if (impl_->tensorboard) impl_->tensorboard->write(metrics.step, to_scalars(metrics));
}

void MetricsLog::log_eval(int64_t step, const Json& eval) {
  impl_->append({{"step", step}, {"eval", only_numbers(eval)}});
  if (!impl_->tensorboard) return;
  Scalars scalars;
  collect_numbers(eval, "eval", scalars);
  impl_->tensorboard->write(step, scalars);
}

}  // namespace streamo::metrics
