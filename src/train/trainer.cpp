#include "streamo/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "held_out.h"
#include "model_setup.h"
#include "ranked_index.h"
#include "resume.h"
#include "same_run.h"
#include "sharded_blocks.h"
#include "step_sums.h"
#include "streamo/checkpoint/async_saver.h"
#include "streamo/checkpoint/snapshot.h"
#include "streamo/core/file.h"
#include "streamo/core/log.h"
#include "streamo/data/loader.h"
#include "streamo/dist/topology.h"
#include "streamo/model/hf_directory.h"
#include "streamo/train/metrics.h"
#include "streamo/train/report.h"
#include "streamo/train/run_folder.h"
#include "streamo/train/schedule.h"
#include "streamo/train/stop_signal.h"
#include "streamo/train/terminal.h"
#include "streamo/train/throughput.h"
#include "training_step.h"
#include "work_division.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The slowest of the others may take so long between two collectives before the run is held to
// hang: in a step, and while the first rank saves, evaluates or exports.
constexpr std::chrono::seconds kLeastPatience{30};
constexpr int kPatienceSteps = 5;
constexpr std::chrono::hours kPatienceOutsideSteps{24};

}  // namespace

struct Trainer::Impl {
  Impl(RunConfig run_config, std::shared_ptr<dist::Ranks> ranks);

  Outcome run();

 private:
  ModelDirectory make_model_directory();
  data::Index make_index();
  std::optional<StepMetrics> train_step(Throughput& throughput);
  void show(StepMetrics& metrics, Throughput& throughput, TerminalDisplay& display);
  bool asked_to_stop();
  void restore();
  checkpoint::Snapshot capture();
  void save();
  void save_last();
  bool evaluate(int64_t max_samples);
  Outcome finish();
  void begin_outside_steps(const char* what);
  template <typename Work>
  void by_first_rank(const char* what, const Work& work);
  void print_plan() const;

  StopSignal stop_;  // first: what comes while all this is made is not lost
  std::shared_ptr<dist::Ranks> ranks_;
  RankThreads threads_;
  RunConfig config_;
  Json effective_config_;
  RunFolder folder_;
  torch::Device device_;
  data::SampleSource source_;
  ModelDirectory model_dir_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  text::ChatFormat chat_;
  std::shared_ptr<model::VisionLanguageModel> model_;
  data::SampleReport report_;
  data::Index index_;
  data::Plan plan_;
  loss::StreamingLoss loss_;
  dist::ShardGroups groups_;
  std::shared_ptr<ShardedBlocks> blocks_;  // null unless parallel.shard is full
  AdamW optimizer_;
  Schedule schedule_;
  checkpoint::SnapshotStore snapshots_;
  checkpoint::AsyncSaver saver_{snapshots_};  // the first rank's
  int64_t step_ = 0;                          // updates done
  int64_t first_step_ = 1;                    // of this process
  int64_t saved_step_ = -1;                   // as far as it did not fail: save_last() makes sure
  bool stopping_ = false;                     // all ranks agree
  TrainingStep training_step_;
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<MetricsLog> metrics_;  // the first rank's, like the next
  std::unique_ptr<HeldOut> held_out_;
};

Trainer::Impl::Impl(RunConfig run_config, std::shared_ptr<dist::Ranks> ranks)
    : ranks_(std::move(ranks)),
      threads_(run_config.train.num_threads, *ranks_),
      config_(std::move(run_config)),
      effective_config_(schema_of(config_).values()),
      folder_(config_.checkpoint.dir, ranks_->first()),
      device_(take_device(*ranks_)),
      source_(
          open_source(config_, config_.data.train, /*model_dir=*/{}, open_frame_cache(config_))),
      model_dir_(make_model_directory()),
      tokenizer_(text::load_tokenizer(model_dir_.path)),
      chat_(*tokenizer_),
      model_(load_model(config_, model_dir_, device_)),
      report_(ranks_->first() ? folder_.path() / "skipped.jsonl" : fs::path()),
      index_(make_index()),
      plan_(plan_items(index_, *model_, config_.model),
            plan_options(config_, ranks_->rank(), ranks_->size())),
      loss_({.gamma = config_.loss.gamma, .alpha_scope = config_.loss.alpha_scope}),
      groups_(shard_groups(ranks_, config_)),
      blocks_(config_.parallel.shards_blocks(ranks_->size())
                  ? std::make_shared<ShardedBlocks>(*ranks_, groups_, *model_)
                  : nullptr),
      optimizer_(named_parameters(config_, *model_, chat_.special()), adamw_config(config_.optim),
                 {.ranks = ranks_,
                  .groups = groups_,
                  .shard_state = config_.parallel.shard != "none",
                  .deterministic = config_.train.deterministic,
                  .blocks = blocks_,
                  .model = model_.get()}),
      schedule_(config_.optim.schedule, config_.optim.lr, config_.optim.warmup_ratio,
                plan_.total_steps()),
      snapshots_(folder_.path(), model_dir_.path, config_.checkpoint.keep,
                 conversation_settings(config_)),
      training_step_({.config = config_,
                      .ranks = *ranks_,
                      .model = *model_,
                      .device = device_,
                      .loss = loss_,
                      .optimizer = optimizer_,
                      .schedule = schedule_,
                      .micro_batches = plan_.micro_batches_of_step(),
                      .run_folder = folder_.path()},
                     [this] { return asked_to_stop(); }) {
  restore();
  report_.check_fraction(config_.data.max_bad_fraction, source_.size());
  if (ranks_->first()) {
    core::write_file_atomic(folder_.path() / "config.json", effective_config_.dump(2) + "\n");
    metrics_ = std::make_unique<MetricsLog>(folder_.path(), step_, config_.log.tensorboard);
  }
  held_out_ = std::make_unique<HeldOut>(config_, ranks_, folder_.path(), model_dir_.path,
                                        source_.options().frame_cache, step_);
  loader_ = std::make_unique<data::Loader>(
      source_, chat_, index_, plan_,
      data::LoaderOptions{.num_workers = static_cast<int>(config_.data.num_workers),
                          .token_side = model_->pixels_per_token_side()},
      step_);
  print_plan();
}

ModelDirectory Trainer::Impl::make_model_directory() {
  require_same_run(*ranks_, effective_config_, source_.fingerprint());
  if (!ranks_->first()) ranks_->barrier();  // until it is written
  ModelDirectory directory =
      prepare_model_directory(config_, folder_.path(), source_, /*write=*/ranks_->first());
  if (ranks_->first()) ranks_->barrier();
  return directory;
}

// The model directory may be younger than the source: a preset's tokenizer is trained on its texts.
data::Index Trainer::Impl::make_index() {
  source_.set_pixel_limits(pixel_limits(config_, model_dir_.path));
  return build_index(source_, chat_, index_options(config_, model_->pixels_per_token_side()),
                     report_, *ranks_);
}

Outcome Trainer::Impl::run() {
  if (saved_step_ == plan_.total_steps() && fs::exists(RunFolder::final_model(folder_.path()))) {
    core::log_info("finished already, {}: begin another run to train more",
                   folder_.path().string());
    return Outcome::kFinished;
  }
  TerminalDisplay display;
  Throughput throughput(config_.data.fps);
  first_step_ = step_ + 1;
  const auto due = [&](int64_t every) {
    return every > 0 && step_ > 0 && step_ % every == 0 && step_ != plan_.total_steps();
  };
  if (due(config_.eval.every_steps)) {  // made up for, if the former process ended in it
    const bool made = ranks_->first() && held_out_->evaluated(step_);
    if (ranks_->sum(made ? 1 : 0) == 0) evaluate(config_.eval.max_samples);
  }
  while (step_ < plan_.total_steps()) {
    ranks_->set_activity(fmt::format("step {}", step_ + 1));
    auto metrics = train_step(throughput);
    if (metrics) show(*metrics, throughput, display);
    if (stopping_) {
      display.finish_line();
      save_last();
      return Outcome::kStoppedAndSaved;
    }
    if (due(config_.checkpoint.every_steps)) save();
    if (due(config_.eval.every_steps)) {
      display.finish_line();
      evaluate(config_.eval.max_samples);
    }
    throughput.resume_clock();
    ranks_->set_patience(std::max<std::chrono::milliseconds>(
        kLeastPatience, std::chrono::milliseconds(static_cast<int64_t>(
                            kPatienceSteps * 1000 * throughput.median_step_seconds()))));
  }
  display.finish_line();
  return finish();
}

// Between the steps nobody is in a hurry.
void Trainer::Impl::begin_outside_steps(const char* what) {
  ranks_->set_activity(fmt::format("{} after step {}", what, step_));
  ranks_->set_patience(kPatienceOutsideSteps);
}

// What one rank does for all while the others wait.
template <typename Work>
void Trainer::Impl::by_first_rank(const char* what, const Work& work) {
  begin_outside_steps(what);
  if (ranks_->first()) work();
  ranks_->barrier();
}

void Trainer::Impl::show(StepMetrics& metrics, Throughput& throughput, TerminalDisplay& display) {
  const bool due = step_ == first_step_ ||  // shown always: a sign of life
                   step_ % config_.log.every_steps == 0 || step_ == plan_.total_steps();
  if (!due || !ranks_->first()) return;
  throughput.report(metrics);
  metrics_->log(metrics);
  display.show(metrics);
}

// By a signal to this rank or, as far as it is known yet, to another one.
bool Trainer::Impl::asked_to_stop() {
  if (stop_.requested()) ranks_->request_stop();
  return stop_.requested() || ranks_->stop_requested();
}

// One optimizer step. nullopt when some rank was stopped in the middle: nothing has changed then.
std::optional<StepMetrics> Trainer::Impl::train_step(Throughput& throughput) {
  const double started = core::monotonic_seconds();
  const data::StepBatch step = loader_->next();  // decoded ahead of time
  const StepTotals totals = total_over_ranks(step, *ranks_);
  const double wait = core::monotonic_seconds() - started;  // for the slowest rank's data
  for (const data::BadSample& bad : totals.bad) report_.add(bad.id, bad.reason);
  report_.check_fraction(config_.data.max_bad_fraction, source_.size());

  StepMetrics metrics{.step = step_ + 1, .total_steps = plan_.total_steps(), .epoch = step.epoch};
  const StepOutcome outcome = training_step_.run(step, totals, metrics);
  stopping_ = outcome.stopping;
  if (!outcome.done) return std::nullopt;
  ++step_;
  metrics.supervised_tokens = totals.supervised_tokens;
  metrics.tokens = totals.tokens;
  metrics.skipped = report_.size();
  throughput.add(totals.tokens, totals.frames, wait);
  return metrics;
}

void Trainer::Impl::restore() {
  const auto from =
      checkpoint_to_resume(config_.checkpoint.resume, snapshots_, folder_.path(), *ranks_);
  if (!from) return;
  const checkpoint::Snapshot snapshot = checkpoint::load_snapshot(*from);
  const Json& state = snapshot.trainer_state;
  require_same_training(state,
                        {.effective_config = effective_config_,
                         .data_fingerprint = source_.fingerprint(),
                         .micro_batches = plan_.micro_batches_of_step()},
                        *from);
  if (blocks_) blocks_->make_whole(/*on_all_ranks=*/true);
  load_weights(*model_, snapshot, *from);
  if (blocks_) blocks_->make_parts(/*changed=*/true);
  optimizer_.load_state(snapshot.optimizer);
  loss_.set_running_counts(state.at("loss_running_counts").get<std::array<double, 3>>());
  step_ = saved_step_ = snapshot.step;
  if (ranks_->first() && config_.checkpoint.resume == "auto") snapshots_.finish_save(step_);
  core::log_info("resuming from {} (step {})", from->string(), step_);
}

// Collective: the state is brought together from all ranks.
checkpoint::Snapshot Trainer::Impl::capture() {
  std::map<std::string, torch::Tensor> weights = model::named_weights(*model_);
  if (blocks_) blocks_->complete_on_host(weights);
  return {.step = step_,
          .weights = std::move(weights),
          .optimizer = optimizer_.state(),
          .trainer_state = {{"step", step_},
                            {"ranks", ranks_->size()},
                            {"config", effective_config_},
                            {"data_fingerprint", source_.fingerprint()},
                            {"loss_running_counts", loss_.running_counts()},
                            {"skipped", report_.entries()}}};
}

void Trainer::Impl::save() {
  begin_outside_steps("saving");
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

// Collective; false when a signal ended it.
bool Trainer::Impl::evaluate(int64_t max_samples) {
  begin_outside_steps("evaluation");
  if (blocks_) blocks_->make_whole(/*on_all_ranks=*/true);
  const bool done = held_out_->evaluate(*model_, chat_, step_, max_samples, metrics_.get(),
                                        [this] { return asked_to_stop(); });
  if (blocks_) blocks_->make_parts(/*changed=*/false);
  ranks_->barrier();  // the first rank has written its result
  return done;
}

Outcome Trainer::Impl::finish() {
  save_last();
  if (!config_.data.eval.empty() && !evaluate(/*max_samples=*/0)) return Outcome::kStoppedAndSaved;
  const fs::path final_dir = RunFolder::final_model(folder_.path());
  if (blocks_) blocks_->make_whole(/*on_all_ranks=*/false);
  by_first_rank("export", [&] {
    write_report(folder_.path());
    model::save_model_directory(*model_, model_dir_.path, final_dir,
                                conversation_settings(config_));
  });
  if (blocks_) blocks_->make_parts(/*changed=*/false);
  core::log_info("finished: {} steps, {} samples skipped\n  model   {}\n  report  {}", step_,
                 report_.size(), final_dir.string(), (folder_.path() / "report.html").string());
  return Outcome::kFinished;
}

void Trainer::Impl::print_plan() const {
  const std::string topology = ranks_->size() > 1 ? dist::topology(*ranks_, device_) : "";
  int64_t trained = 0, all = 0;
  for (const torch::Tensor& parameter : model_->parameters()) all += parameter.numel();
  for (const NamedParameter& parameter : optimizer_.parameters()) trained += parameter.numel();
  core::log_info("run       {}", folder_.path().string());
  core::log_info("device    {}, {}, {} threads", device_.str(), config_.model.dtype,
                 at::get_num_threads());
  if (ranks_->size() > 1) {
    core::log_info("ranks     {}", topology);
    core::log_info("sharding  {}", sharding_in_words(config_.parallel));
  }
  core::log_info("model     {} parameters, {} trained", all, trained);
  core::log_info(
      "data      {} samples in {} items, {} tokens, {} frames; {} skipped, {} longer than {} "
      "tokens ({})",
      source_.size(), index_.items.size(), index_.total_tokens, index_.total_frames, report_.size(),
      index_.overlong_samples, config_.data.max_length, config_.data.overlong);
  core::log_info(
      "training  {} steps to go of {}, {} micro-batches a step, lr {} ({}, {} warm-up steps)",
      plan_.total_steps() - step_, plan_.total_steps(), plan_.micro_batches_of_step(),
      config_.optim.lr, config_.optim.schedule, schedule_.warmup_steps());
}

Trainer::Trainer(RunConfig config, std::shared_ptr<dist::Ranks> ranks)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(ranks))) {}
Trainer::~Trainer() = default;
Outcome Trainer::run() {
  return impl_->run();
}

}  // namespace streamo::train
