#include "held_out.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model_setup.h"
#include "streamo/core/file.h"
#include "streamo/core/log.h"
#include "streamo/model/hf_directory.h"

namespace streamo::train {

namespace fs = std::filesystem;

HeldOut::HeldOut(const RunConfig& config, fs::path run_folder, fs::path model_dir,
                 std::shared_ptr<video::FrameCache> frame_cache, int64_t resume_step)
    : config_(config),
      run_folder_(std::move(run_folder)),
      model_dir_(std::move(model_dir)),
      frame_cache_(std::move(frame_cache)),
      best_(run_folder_, config.eval.every_steps > 0 ? config.eval.best_metric : "", resume_step) {}

fs::path HeldOut::result_path(int64_t step) const {
  return run_folder_ / fmt::format("eval-{}.json", step);
}

bool HeldOut::evaluated(int64_t step) const {
  return fs::exists(result_path(step));
}

bool HeldOut::evaluate(model::VisionLanguageModel& model, const text::ChatFormat& chat,
                       int64_t step, int64_t max_samples, MetricsLog& metrics,
                       const std::function<bool()>& asked_to_stop) {
  struct Stopped {};
  const data::SampleSource samples =
      open_source(config_, config_.data.eval, model_dir_, frame_cache_);
  const eval::EvaluateOptions options = {.teacher_forced = config_.eval.teacher_forced,
                                         .max_samples = max_samples,
                                         .num_threads = static_cast<int>(config_.data.num_workers),
                                         .context = config_.data.context,
                                         .progress = [&](int64_t, int64_t) {
                                           if (asked_to_stop()) throw Stopped();
                                         }};
  try {
    const eval::EvalReport result = eval::evaluate(model, chat, samples, options);
    const auto json = eval::to_json(result, /*with_timelines=*/true);
    core::write_file_atomic(result_path(step), json.dump() + "\n");
    metrics.log_eval(step, json);
    core::log_info("step {}: held-out samples\n{}", step, eval::to_table(result));
    keep_if_best(model, step, result, samples);
    return true;
  } catch (const Stopped&) {
    core::log_info("step {}: evaluation stopped, the next start makes it", step);
    return false;
  }
}

// Compared on the samples of every evaluation: the last one is on more.
void HeldOut::keep_if_best(model::VisionLanguageModel& model, int64_t step,
                           const eval::EvalReport& result, const data::SampleSource& samples) {
  const auto record = best_.improvement(
      step, eval::to_json(eval::spread_subset(result, samples, config_.eval.max_samples),
                          /*with_timelines=*/false));
  if (!record) return;
  auto files = conversation_settings(config_);
  files[BestModel::kRecord] = record->dump(2) + "\n";
  model::save_model_directory(model, model_dir_, BestModel::directory(run_folder_), files);
}

}  // namespace streamo::train
