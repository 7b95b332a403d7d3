#include "held_out.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model_setup.h"
#include "streamo/core/dump_json.h"
#include "streamo/core/file.h"
#include "streamo/core/log.h"
#include "streamo/model/hf_directory.h"

namespace streamo::train {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::ordered_json;

struct Stopped {};

std::string serialized(const eval::PlayedSamples& played) {
  Json all = Json::array();
  for (const core::Result<eval::Timeline>& sample : played) {
    all.push_back(sample ? Json{{"timeline", eval::to_exact_json(*sample)}}
                         : Json{{"fault", sample.reason()}});
  }
  return core::dump_json(all);
}

core::Result<eval::Timeline> parsed(const Json& sample) {
  if (sample.contains("fault")) return core::Fault{sample["fault"].get<std::string>()};
  return eval::timeline_of(sample.at("timeline"));
}

}  // namespace

HeldOut::HeldOut(const RunConfig& config, std::shared_ptr<dist::Ranks> ranks, fs::path run_folder,
                 fs::path model_dir, std::shared_ptr<video::FrameCache> frame_cache,
                 int64_t resume_step)
    : config_(config),
      ranks_(std::move(ranks)),
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

// Every rank a share; the first one gets everything. None when one of them was asked to stop.
std::optional<eval::PlayedSamples> HeldOut::play(model::VisionLanguageModel& model,
                                                 const text::ChatFormat& chat,
                                                 const data::SampleSource& source,
                                                 const std::vector<size_t>& samples,
                                                 const std::function<bool()>& asked_to_stop) {
  const eval::EvaluateOptions options = {.teacher_forced = config_.eval.teacher_forced,
                                         .num_threads = static_cast<int>(config_.data.num_workers),
                                         .context = data::session_context(config_.data.context),
                                         .progress = [&](int64_t, int64_t) {
                                           if (asked_to_stop()) throw Stopped();
                                         }};
  const auto size = static_cast<size_t>(ranks_->size());
  std::vector<size_t> own;
  for (auto i = static_cast<size_t>(ranks_->rank()); i < samples.size(); i += size)
    own.push_back(samples[i]);
  eval::PlayedSamples played;
  double stopped = 0;
  try {
    played = eval::play_samples(model, chat, source, own, options);
  } catch (const Stopped&) {
    stopped = 1;
  }
  if (ranks_->sum(stopped) > 0) return std::nullopt;
  if (size == 1) return played;
  const std::vector<std::string> texts = ranks_->gather(serialized(played));
  if (!ranks_->first()) return eval::PlayedSamples();
  std::vector<Json> of_rank;
  for (const std::string& text : texts) of_rank.push_back(Json::parse(text));
  eval::PlayedSamples all;
  for (size_t i = 0; i < samples.size(); ++i) all.push_back(parsed(of_rank[i % size].at(i / size)));
  return all;
}

bool HeldOut::evaluate(model::VisionLanguageModel& model, const text::ChatFormat& chat,
                       int64_t step, int64_t max_samples, MetricsLog* metrics,
                       const std::function<bool()>& asked_to_stop) {
  const data::SampleSource source =
      open_source(config_, config_.data.eval, model_dir_, frame_cache_);
  const std::vector<size_t> samples = eval::samples_to_evaluate(source, max_samples);
  std::optional<eval::PlayedSamples> played = play(model, chat, source, samples, asked_to_stop);
  if (!played) {
    core::log_info("step {}: evaluation stopped, the next start makes it", step);
    return false;
  }
  if (!ranks_->first()) return true;
  const eval::EvalReport result =
      eval::make_report(source, samples, *std::move(played), config_.eval.teacher_forced);
  const Json json = eval::to_json(result, /*with_timelines=*/true);
  core::write_file_atomic(result_path(step), core::dump_json(json) + "\n");
  metrics->log_eval(step, json);
  core::log_info("step {}: held-out samples\n{}", step, eval::to_table(result));
  keep_if_best(model, step, result, source);
  return true;
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
