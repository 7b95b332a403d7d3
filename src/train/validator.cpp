// Deals samples to ranks round-robin, gathers timelines at rank 0, and exports the model when the
// chosen metric improves.
#include "train/validator.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/options.h"
#include "core/io/fault_point.h"
#include "core/io/file.h"
#include "core/io/output.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/process/parallel.h"
#include "core/process/progress.h"
#include "data/samples/sample_report.h"
#include "model/hf_directory.h"
#include "run/ranked_samples.h"
#include "run/run_folder.h"
#include "streamo/core/error.h"
#include "train/fail_together.h"

namespace streamo::train {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::ordered_json;

struct Stopped {};

std::string serialized(const eval::Predictions& played) {
  Json all = Json::array();
  for (const core::Result<eval::Timeline>& sample : played) {
    all.push_back(sample ? Json{{"timeline", eval::to_exact_json(*sample)}}
                         : Json{{"fault", sample.reason()}});
  }
  return core::dump_json(all);
}

core::Result<eval::Timeline> parsed(const Json& sample) {
  if (sample.contains("fault")) return core::Fault{sample["fault"].get<std::string>()};
  return eval::parse_timeline(sample.at("timeline"));
}

bool same_content(const fs::path& a, const fs::path& b) {
  if (core::is_same(a, b)) return true;
  std::error_code error;
  const auto size = fs::file_size(a, error);
  return !error && size == fs::file_size(b, error) && !error &&
         core::hash_file(a) == core::hash_file(b);
}

// Samples in both sets are found by `streamo check`; the same file in both is seen at once.
void warn_of_shared_files(const config::RunConfig::Data& data) {
  for (const std::string& held_out : data.eval) {
    for (const std::string& trained : data.train) {
      if (!same_content(held_out, trained)) continue;
      core::log_warning(
          "data.eval: {} is in data.train too: the evaluation will say how well it was learnt by "
          "heart",
          held_out);
    }
  }
}

}  // namespace

void require_held_out(const config::RunConfig& config, const fs::path& run_folder,
                      const fs::path& model_dir, std::shared_ptr<video::FrameCache> frame_cache,
                      parallel::Ranks& ranks) {
  if (config.data.eval.empty()) return;
  const data::SampleSource source =
      config::open_source(config, config.data.eval, model_dir, std::move(frame_cache));
  const auto own = run::samples_of_rank(ranks.rank(), ranks.size(), source.size());
  std::vector<std::string> reasons(own.size());
  core::parallel_for(own.size(), static_cast<int>(config.data.num_workers), [&](size_t i) {
    const auto conversation = source.conversation(own[i]);
    if (!conversation) reasons[i] = conversation.reason();
  });
  Json bad = Json::array();
  for (size_t i = 0; i < own.size(); ++i)
    if (!reasons[i].empty()) bad.push_back({source.id(own[i]), reasons[i]});
  data::SampleReport report(ranks.first() ? run_folder / "skipped-eval.jsonl" : fs::path());
  for (const std::string& of_rank : ranks.gather(core::dump_json(bad))) {
    for (const Json& sample : Json::parse(of_rank))
      report.add(sample.at(0).get<std::string>(), sample.at(1).get<std::string>());
  }
  if (report.size() == 0) return;
  const auto [id, reason] = *report.entries().begin();
  if (report.size() == static_cast<int64_t>(source.size())) {
    throw core::Error(
        core::ErrorKind::kData,
        fmt::format("no held-out sample can be used, the first is {}: {}", id, reason), "data.eval",
        "check data.eval and data.video_prefix");
  }
  if (ranks.first())
    core::log_warning("{} of {} held-out samples cannot be used, for example {}: {}", report.size(),
                      source.size(), id, reason);
}

Validator::Validator(const config::RunConfig& config, std::shared_ptr<parallel::Ranks> ranks,
                     fs::path run_folder, fs::path model_dir,
                     std::shared_ptr<video::FrameCache> frame_cache, int64_t resume_step)
    : config_(config),
      ranks_(std::move(ranks)),
      run_folder_(std::move(run_folder)),
      model_dir_(std::move(model_dir)),
      frame_cache_(std::move(frame_cache)),
      best_(run_folder_, config.eval.every_steps > 0 ? config.eval.best_metric : "", resume_step) {
  if (!ranks_->first()) return;
  warn_of_shared_files(config_.data);
  if (config_.eval.every_steps > 0)
    run::RunFolder::require_ours(run::BestModel::directory(run_folder_));
}

fs::path Validator::result_path(int64_t step) const {
  return run_folder_ / fmt::format("eval-{}.json", step);
}

bool Validator::evaluated(int64_t step) const {
  return ranks_->sum(ranks_->first() && fs::exists(result_path(step)) ? 1 : 0) > 0;
}

// Every rank a share; the first one gets everything. None when one of them was asked to stop.
std::optional<eval::Predictions> Validator::play(model::VisionLanguageModel& model,
                                                 const text::ChatFormat& chat,
                                                 const data::SampleSource& source,
                                                 const std::vector<size_t>& samples,
                                                 const std::function<bool()>& asked_to_stop) {
  const auto end_if_asked = [&] {
    if (asked_to_stop()) throw Stopped();
  };
  const eval::EvaluateOptions options = {.teacher_forced = config_.eval.teacher_forced,
                                         .num_threads = static_cast<int>(config_.data.num_workers),
                                         .context = data::session_context(config_.data.context),
                                         .progress = [&](int64_t, int64_t) { end_if_asked(); },
                                         .before_turn = end_if_asked};
  const auto size = static_cast<size_t>(ranks_->size());
  std::vector<size_t> own;
  for (auto i = static_cast<size_t>(ranks_->rank()); i < samples.size(); i += size)
    own.push_back(samples[i]);
  eval::Predictions played;
  double stopped = 0;
  fail_together(*ranks_, [&] {
    try {
      played = eval::rollout_samples(model, chat, source, own, options);
    } catch (const Stopped&) {
      stopped = 1;
    }
  });
  if (ranks_->sum(stopped) > 0) return std::nullopt;
  if (size == 1) return played;
  const std::vector<std::string> texts = ranks_->gather(serialized(played));
  if (!ranks_->first()) return eval::Predictions();
  std::vector<Json> of_rank;
  for (const std::string& text : texts) of_rank.push_back(Json::parse(text));
  eval::Predictions all;
  for (size_t i = 0; i < samples.size(); ++i) all.push_back(parsed(of_rank[i % size].at(i / size)));
  return all;
}

bool Validator::evaluate(model::VisionLanguageModel& model, const text::ChatFormat& chat,
                         int64_t step, int64_t max_samples, metrics::MetricsLog* metrics,
                         const std::function<bool()>& asked_to_stop) {
  std::unique_ptr<const data::SampleSource> source;
  fail_together(*ranks_, [&] {
    core::fault_point("eval.open");
    source.reset(new data::SampleSource(
        config::open_source(config_, config_.data.eval, model_dir_, frame_cache_)));
  });
  const std::vector<size_t> samples = eval::samples_to_evaluate(*source, max_samples);
  std::optional<eval::Predictions> played = play(model, chat, *source, samples, asked_to_stop);
  if (!played) {
    core::log_info("step {}: evaluation stopped, the next start makes it", step);
    return false;
  }
  fail_together(*ranks_, [&] {
    if (!ranks_->first()) return;
    const eval::EvalReport result =
        eval::make_report(*source, samples, *std::move(played), config_.eval.teacher_forced);
    write_result(model, step, result, *source, *metrics);
  });
  return true;
}

void Validator::write_result(model::VisionLanguageModel& model, int64_t step,
                             const eval::EvalReport& result, const data::SampleSource& source,
                             metrics::MetricsLog& metrics) {
  const Json json = eval::to_json(result, /*with_timelines=*/true);
  core::unless_the_disk_fails(
      [&] { core::write_file_atomic(result_path(step), core::dump_json(json) + "\n"); });
  metrics.log_eval(step, json);
  core::log_info("step {}: held-out samples\n{}", step, eval::to_table(result));
  core::unless_the_disk_fails([&] { keep_if_best(model, step, result, source); });
}

// Compared on the samples of every evaluation: the last one is on more.
void Validator::keep_if_best(model::VisionLanguageModel& model, int64_t step,
                             const eval::EvalReport& result, const data::SampleSource& samples) {
  const auto record = best_.improvement(
      step, eval::to_json(eval::evenly_spaced_subset(result, samples, config_.eval.max_samples),
                          /*with_timelines=*/false));
  if (!record) return;
  ranks_->set_activity(fmt::format("keeping the best model after step {}", step), core::writing());
  auto files = config::inference_settings(config_).files();
  files[run::BestModel::kRecord] = record->dump(2) + "\n";
  model::save_model_directory(model, model_dir_, run::BestModel::directory(run_folder_), files);
}

}  // namespace streamo::train
