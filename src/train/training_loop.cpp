// The steps of a run, and what is done between and behind them: saving, evaluating, exporting.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/options.h"
#include "core/io/fault_point.h"
#include "core/io/file.h"
#include "core/log.h"
#include "model/hf_directory.h"
#include "report/report.h"
#include "train/start_message.h"
#include "train/step_loss.h"
#include "train/trainer_impl.h"

namespace streamo::train {

namespace fs = std::filesystem;

Outcome Trainer::Impl::run() {
  tell_start({.config = config_,
              .run_folder = folder_.path(),
              .device = device_,
              .samples = source_.size(),
              .skipped = report_.size(),
              .index = index_,
              .plan = plan_,
              .schedule = schedule_,
              .steps_done = step_},
             *model_, *reducer_, *ranks_);
  if (is_finished()) {
    core::log_info("finished already, {}: begin another run to train more",
                   folder_.path().string());
    return Outcome::kFinished;
  }
  core::StopRule nothing_to_save = core::set_stop_rule(
      {.in_order = true, .said = "saving a checkpoint first (a second signal stops at once)"});
  if (!train()) return Outcome::kStoppedAndSaved;
  save_last();
  core::set_stop_rule(std::move(nothing_to_save));
  return finish();
}

// All steps that are left; false when a signal ended it, and all is saved.
bool Trainer::Impl::train() {
  metrics::TerminalDisplay display;
  metrics::Throughput throughput(config_.data.fps);
  first_step_ = step_ + 1;
  const auto due = [&](int64_t every) {
    return every > 0 && step_ > 0 && step_ % every == 0 && step_ != plan_.total_steps();
  };
  // Made up for, if the former process ended in it.
  if (due(config_.eval.every_steps) && !held_out_->evaluated(step_))
    evaluate(config_.eval.max_samples);
  while (step_ < plan_.total_steps()) {
    begin_step(throughput.median_step_seconds());
    auto metrics = train_step(throughput);
    if (metrics) show(*metrics, throughput, display);
    if (stopping_) {
      display.finish_line();
      save_last();
      return false;
    }
    if (saving_ || due(config_.checkpoint.every_steps)) save();
    if (due(config_.eval.every_steps)) {
      display.finish_line();
      evaluate(config_.eval.max_samples);
    }
    throughput.resume_clock();
  }
  display.finish_line();
  return true;
}

// Also when the process ended in the last evaluation, which comes behind everything else.
bool Trainer::Impl::is_finished() {
  const bool exported = ranks_->first() && fs::exists(run::RunFolder::final_model(folder_.path()));
  return ranks_->sum(exported ? 1 : 0) > 0 && saved_step_ == plan_.total_steps() &&
         (config_.data.eval.empty() || held_out_->evaluated(step_));
}

// With its data: as long as this rank's files get on, the others wait for it.
void Trainer::Impl::begin_step(double median_step_seconds) {
  const Timeouts::Duration patience = patience_.in_step(median_step_seconds);
  ranks_->set_timeout(patience);
  ranks_->set_activity(fmt::format("step {}", step_ + 1), core::reading(),
                       patience_.for_data(patience));
}

void Trainer::Impl::begin_outside_steps(const char* what, const core::Progress& progress) {
  const Timeouts::Duration patience = patience_.outside(what);
  ranks_->set_timeout(patience);
  ranks_->set_activity(fmt::format("{} after step {}", what, step_), progress,
                       &progress == &core::reading() ? patience_.for_data(patience) : patience);
}

// What one rank does for all while the others wait.
template <typename Work>
void Trainer::Impl::by_first_rank(const char* what, const Work& work) {
  begin_outside_steps(what, core::writing());
  const double started = core::monotonic_seconds();
  if (ranks_->first()) work();
  ranks_->barrier();
  patience_.took(what, core::monotonic_seconds() - started);
}

void Trainer::Impl::show(metrics::StepMetrics& metrics, metrics::Throughput& throughput,
                         metrics::TerminalDisplay& display) {
  const bool due = step_ == first_step_ ||  // shown always: a sign of life
                   step_ % config_.log.every_steps == 0 || step_ == plan_.total_steps();
  if (!due || !ranks_->first()) return;
  throughput.report(metrics);
  metrics_->log(metrics);
  // Where the disk takes no line, the run may not have long: save what there is, if that goes.
  if (!std::exchange(log_is_behind_, metrics_->is_behind()) && log_is_behind_) core::request_save();
  display.show(metrics);
}

// By a signal to this rank or, as far as it is known yet, to another one.
bool Trainer::Impl::asked_to_stop() {
  if (core::stop_requested()) ranks_->request_stop();
  return core::stop_requested() || ranks_->stop_requested();
}

// One optimizer step. nullopt when some rank was stopped in the middle: nothing has changed then.
std::optional<metrics::StepMetrics> Trainer::Impl::train_step(metrics::Throughput& throughput) {
  const double started = core::monotonic_seconds();
  const data::StepBatch step = loader_->next();  // decoded ahead of time
  ranks_->set_activity(fmt::format("step {}", step_ + 1));
  const StepTotals totals = total_over_ranks(step, *ranks_);
  const double wait = core::monotonic_seconds() - started;  // for the slowest rank's data
  for (const data::BadSample& bad : totals.bad) report_.add(bad.id, bad.reason);
  report_.check_fraction(config_.data.max_bad_fraction, source_.size());

  metrics::StepMetrics metrics{
      .step = step_ + 1, .total_steps = plan_.total_steps(), .epoch = step.epoch};
  const StepOutcome outcome = training_step_.run(step, totals, metrics);
  stopping_ = outcome.stopping;
  saving_ = outcome.saving;
  if (!outcome.done) return std::nullopt;
  ++step_;
  metrics.supervised_tokens = totals.supervised_tokens;
  metrics.tokens = totals.tokens;
  metrics.skipped = report_.size();
  throughput.add(totals.tokens, totals.frames, wait);
  return metrics;
}

void Trainer::Impl::restore() {
  const auto from = std::exchange(resume_point_, std::nullopt);
  if (!from) return;
  optimizer_.load_state(checkpoint::read_optimizer(from->path));
  loss_.set_running_counts(
      from->trainer_state.at("loss_running_counts").get<std::array<double, 3>>());
  for (const auto& [id, reason] : run::skipped_before(*from, data_identity_))
    report_.add(id, reason);
  step_ = saved_step_ = from->trainer_state.at("step").get<int64_t>();
  if (ranks_->first() && fs::equivalent(from->path.parent_path(), folder_.path()))
    snapshots_.finish_save(step_);
  core::log_info("resuming from {} (step {})", from->path.string(), step_);
}

// Collective. What is not must not take the place of what was good, on disk as the best model.
void Trainer::Impl::require_finite() {
  if (ranks_->sum(optimizer_.is_finite() ? 0.0 : 1.0) == 0) return;
  throw core::Error(core::ErrorKind::kNonFinite,
                    fmt::format("weights are not finite after step {}, they were not saved", step_),
                    folder_.path().string(),
                    "lower optim.lr; the last checkpoint is from before it");
}

// Collective: the state is brought together from all ranks.
checkpoint::Snapshot Trainer::Impl::capture() {
  require_finite();
  std::map<std::string, torch::Tensor> weights = model::named_weights(*model_);
  reducer_->gather_weights(weights);
  return {.step = step_,
          .weights = std::move(weights),
          .optimizer = optimizer_.state(*reducer_),
          .trainer_state = {{"step", step_},
                            {"ranks", ranks_->size()},
                            {"config", effective_config_},
                            {"data", data_identity_},
                            {"plan", kept_plan_.hash()},
                            {"loss_running_counts", loss_.running_counts()},
                            {"skipped", report_.entries()}}};
}

void Trainer::Impl::save() {
  begin_outside_steps("saving", core::writing());
  checkpoint::Snapshot snapshot = capture();
  by_first_rank("saving", [&] { saver_.start(std::move(snapshot)); });
  saved_step_ = step_;
}

// What is trained so far is on disk afterwards, or it is an error.
void Trainer::Impl::save_last() {
  double failed = 0;
  by_first_rank("saving", [&] { failed = saver_.wait() ? 0 : 1; });
  if (saved_step_ == step_ && ranks_->sum(failed) == 0) return;
  save();
  by_first_rank("saving", [&] { saver_.require_saved(); });
}

// Collective; false when a signal ended it. When it fails, what is trained so far is saved first.
bool Trainer::Impl::evaluate(int64_t max_samples) {
  begin_outside_steps("evaluation", core::reading());
  require_finite();
  const double started = core::monotonic_seconds();
  reducer_->unshard(/*on_all_ranks=*/true);
  try {
    const bool done = held_out_->evaluate(*model_, chat_, step_, max_samples, metrics_.get(),
                                          [this] { return asked_to_stop(); });
    reducer_->reshard();
    patience_.took("evaluation", core::monotonic_seconds() - started);
    return done;
  } catch (const core::Error& failed) {
    if (failed.kind() == core::ErrorKind::kPeer || failed.kind() == core::ErrorKind::kHang) throw;
    reducer_->reshard();
    save_last();
    throw;
  }
}

// The last evaluation comes behind everything that must not be lost by it.
Outcome Trainer::Impl::finish() {
  const fs::path final_dir = run::RunFolder::final_model(folder_.path());
  reducer_->unshard(/*on_all_ranks=*/false);
  by_first_rank("export", [&] {
    core::fault_point("train.export");
    model::save_model_directory(*model_, model_dir_.path, final_dir,
                                config::inference_settings(config_).files());
    core::unless_the_disk_fails([&] { report::write_report(folder_.path()); });
  });
  reducer_->reshard();
  if (!config_.data.eval.empty() && !held_out_->evaluated(step_)) {
    if (!evaluate(/*max_samples=*/0)) return Outcome::kStoppedAndSaved;
    by_first_rank("report", [&] {
      core::unless_the_disk_fails([&] { report::write_report(folder_.path()); });
    });
  }
  core::log_info("finished: {} steps, {} samples skipped\n  model   {}\n  report  {}", step_,
                 report_.size(), final_dir.string(), (folder_.path() / "report.html").string());
  return Outcome::kFinished;
}

}  // namespace streamo::train
