#include "streamo/train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "model_setup.h"
#include "same_run.h"
#include "step_sums.h"
#include "streamo/checkpoint/async_saver.h"
#include "streamo/checkpoint/snapshot.h"
#include "streamo/core/fault_point.h"
#include "streamo/core/file.h"
#include "streamo/core/log.h"
#include "streamo/core/memory.h"
#include "streamo/data/loader.h"
#include "streamo/eval/evaluator.h"
#include "streamo/model/hf_directory.h"
#include "streamo/train/batch_tensors.h"
#include "streamo/train/metrics.h"
#include "streamo/train/report.h"
#include "streamo/train/run_folder.h"
#include "streamo/train/schedule.h"
#include "streamo/train/stop_signal.h"
#include "streamo/train/terminal.h"
#include "streamo/train/throughput.h"

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
  bool accumulate(const data::StepBatch& step, const StepTotals& totals, StepSums& sums);
  bool update(const data::StepBatch& step, const StepSums& sums, StepMetrics& metrics);
  bool require_finite(const data::StepBatch& step, const StepSums& sums, double grad_norm);
  void restore();
  std::optional<fs::path> newest_checkpoint();
  void require_same_training(const Json& state, const fs::path& from) const;
  checkpoint::Snapshot capture();
  void save();
  void save_last();
  bool evaluate(int64_t max_samples);
  fs::path evaluation_path() const;
  Outcome finish();
  template <typename Work>
  void by_first_rank(const char* what, const Work& work);
  void print_plan() const;

  StopSignal stop_;  // first: what comes while all this is made is not lost
  std::shared_ptr<dist::Ranks> ranks_;
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
  AdamW optimizer_;
  Schedule schedule_;
  checkpoint::SnapshotStore snapshots_;
  checkpoint::AsyncSaver saver_{snapshots_};  // the first rank's
  int64_t step_ = 0;                          // updates done
  int64_t first_step_ = 1;                    // of this process
  int64_t saved_step_ = -1;                   // as far as it did not fail: save_last() makes sure
  bool stopping_ = false;                     // all ranks agree
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<MetricsLog> metrics_;
};

namespace {

std::vector<data::PlanItem> plan_items(const data::Index& index) {
  std::vector<data::PlanItem> items;
  for (const data::Item& item : index.items)
    items.push_back({.tokens = item.tokens, .cost = static_cast<double>(item.tokens)});
  return items;
}

void set_num_threads(int64_t wanted, const dist::Ranks& ranks) {
  const int shared = std::max(1, at::get_num_threads() / ranks.local_size());
  if (wanted > 0 || ranks.size() > 1)
    at::set_num_threads(wanted > 0 ? static_cast<int>(wanted) : shared);
}

}  // namespace

Trainer::Impl::Impl(RunConfig run_config, std::shared_ptr<dist::Ranks> ranks)
    : ranks_(std::move(ranks)),
      config_(std::move(run_config)),
      effective_config_(schema_of(config_).values()),
      folder_(config_.checkpoint.dir, ranks_->first()),
      device_(available_device(ranks_->local_rank())),
      source_(
          open_source(config_, config_.data.train, /*model_dir=*/{}, open_frame_cache(config_))),
      model_dir_(make_model_directory()),
      tokenizer_(text::load_tokenizer(model_dir_.path)),
      chat_(*tokenizer_),
      model_(load_model(config_, model_dir_, device_)),
      report_(ranks_->first() ? folder_.path() / "skipped.jsonl" : fs::path()),
      index_(make_index()),
      plan_(plan_items(index_), plan_options(config_, ranks_->rank(), ranks_->size())),
      loss_({.gamma = config_.loss.gamma, .alpha_scope = config_.loss.alpha_scope}),
      optimizer_(named_parameters(config_, *model_, chat_.special()), adamw_config(config_.optim),
                 {.ranks = ranks_,
                  .shard_state = config_.parallel.shard != "none",
                  .deterministic = config_.train.deterministic}),
      schedule_(config_.optim.schedule, config_.optim.lr, config_.optim.warmup_ratio,
                plan_.total_steps()),
      snapshots_(folder_.path(), model_dir_.path, config_.checkpoint.keep,
                 conversation_settings(config_)) {
  restore();
  report_.check_fraction(config_.data.max_bad_fraction, source_.size());
  if (ranks_->first()) {
    core::write_file_atomic(folder_.path() / "config.json", effective_config_.dump(2) + "\n");
    metrics_ = std::make_unique<MetricsLog>(folder_.path(), step_, config_.log.tensorboard);
  }
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
  return data::build_index(source_, chat_, index_options(config_, model_->pixels_per_token_side()),
                           report_);
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
    by_first_rank("evaluation", [&] {
      if (!fs::exists(evaluation_path())) evaluate(config_.eval.max_samples);
    });
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
      by_first_rank("evaluation", [&] { evaluate(config_.eval.max_samples); });
    }
    throughput.resume_clock();
    ranks_->set_patience(std::max<std::chrono::milliseconds>(
        kLeastPatience, std::chrono::milliseconds(static_cast<int64_t>(
                            kPatienceSteps * 1000 * throughput.median_step_seconds()))));
  }
  display.finish_line();
  return finish();
}

// What one rank does for all, while the others wait.
template <typename Work>
void Trainer::Impl::by_first_rank(const char* what, const Work& work) {
  ranks_->set_activity(fmt::format("{} after step {}", what, step_));
  ranks_->set_patience(kPatienceOutsideSteps);
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
  loss_.count_states(totals.states);

  StepSums sums(plan_.micro_batches_of_step());
  const bool complete = accumulate(step, totals, sums);
  core::fault_point("train.step");
  const auto flags = sums.exchange(*ranks_, {complete ? 0.0 : 1.0, asked_to_stop() ? 1.0 : 0.0});
  stopping_ = flags[0] + flags[1] > 0;
  StepMetrics metrics{.step = step_ + 1, .total_steps = plan_.total_steps(), .epoch = step.epoch};
  // Without a supervised token nothing is learnt: every sample was bad, say. Time goes on.
  const bool updated = flags[0] == 0 && totals.supervised_tokens > 0 && update(step, sums, metrics);
  optimizer_.zero_grad();
  if (flags[0] > 0) return std::nullopt;
  ++step_;
  if (updated) {
    const auto states = static_cast<double>(sums.targets[0] + sums.targets[1] + sums.targets[2]);
    const auto supervised = static_cast<double>(totals.supervised_tokens);
    metrics.loss = sums.loss;
    metrics.state_targets = sums.targets;
    metrics.state_hits = sums.hits;
    metrics.loss_state = sums.state / std::max(states, 1.0);
    metrics.loss_text = sums.text / std::max(supervised - states, 1.0);
  }
  metrics.supervised_tokens = totals.supervised_tokens;
  metrics.tokens = totals.tokens;
  metrics.skipped = report_.size();
  throughput.add(totals.tokens, totals.frames, wait);
  return metrics;
}

// Forward and backward of this rank's micro-batches; false when it was stopped before the last.
bool Trainer::Impl::accumulate(const data::StepBatch& step, const StepTotals& totals,
                               StepSums& sums) {
  for (const data::MicroBatch& batch : step.micro_batches) {
    if (asked_to_stop()) return false;
    if (!batch.targets.empty()) {  // else nothing in it carries a loss
      const torch::Tensor hidden_states = model_->forward(to_model_input(batch, *model_, device_));
      const loss::SupervisedRows rows = supervised_rows(batch, hidden_states);
      const loss::LossTerms terms =
          loss_(rows, model_->lm_head_weight(), static_cast<double>(totals.supervised_tokens));
      terms.loss.backward();
      sums.add(batch.number, terms, rows);
    }
    optimizer_.end_micro_batch();
  }
  return true;
}

// False when the step was skipped.
bool Trainer::Impl::update(const data::StepBatch& step, const StepSums& sums,
                           StepMetrics& metrics) {
  metrics.grad_norm = optimizer_.clip_grad_norm(config_.optim.clip_grad_norm);
  if (!require_finite(step, sums, metrics.grad_norm)) return false;  // before the weights change
  metrics.lr = schedule_.lr(step_);
  optimizer_.step(metrics.lr);
  return true;
}

// All ranks know the same numbers, so they take the same way. False: the step is to be skipped.
bool Trainer::Impl::require_finite(const data::StepBatch& step, const StepSums& sums,
                                   double grad_norm) {
  if (std::isfinite(sums.loss) && std::isfinite(grad_norm)) return true;
  Json own = Json::array();
  for (const data::MicroBatch& batch : step.micro_batches) {
    const double loss = sums.losses[static_cast<size_t>(batch.number)];
    own.push_back({{"rank", ranks_->rank()},
                   {"micro_batch", batch.number},
                   {"finite_loss", std::isfinite(loss)},
                   {"samples", batch.ids}});
  }
  constexpr auto kReplace = Json::error_handler_t::replace;
  Json all = Json::array();
  for (const std::string& list : ranks_->gather(own.dump(-1, ' ', false, kReplace))) {
    for (Json& batch : Json::parse(list)) all.push_back(std::move(batch));
  }
  const fs::path dump = folder_.path() / "nonfinite_step.json";
  if (ranks_->first()) {
    core::write_file_atomic(
        dump,
        Json{{"step", step_ + 1}, {"micro_batches", all}}.dump(2, ' ', false, kReplace) + "\n");
  }
  const std::string what =
      fmt::format("loss {} and gradient norm {} at step {}", sums.loss, grad_norm, step_ + 1);
  if (config_.train.nonfinite == "skip") {
    core::log_warning("{}, {} names its samples, the step is skipped", what, dump.string());
    return false;
  }
  throw core::Error(core::ErrorKind::kNonFinite, what + ", the weights were not changed",
                    dump.string() + " names its samples",
                    "lower optim.lr, look at these samples, or set train.nonfinite=skip");
}

void Trainer::Impl::restore() {
  const std::string& resume = config_.checkpoint.resume;
  std::optional<fs::path> from;
  if (resume == "auto") {
    from = newest_checkpoint();
  } else if (resume == "none") {
    if (!snapshots_.list().empty()) {
      throw core::Error(
          core::ErrorKind::kConfig, "checkpoint.resume is none and the run folder has checkpoints",
          folder_.path().string(), "choose another checkpoint.dir, or set checkpoint.resume=auto");
    }
  } else {
    from = resume;
  }
  if (!from) return;

  const checkpoint::Snapshot snapshot = checkpoint::load_snapshot(*from);
  const Json& state = snapshot.trainer_state;
  require_same_training(state, *from);
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : model::named_weights(*model_)) {
    const auto saved = snapshot.weights.find(name);
    if (saved == snapshot.weights.end() || saved->second.sizes() != tensor.sizes()) {
      throw core::Error(core::ErrorKind::kCheckpoint,
                        "weight " + name + " is missing or of another shape", from->string(),
                        "it belongs to another model");
    }
    tensor.copy_(saved->second);
  }
  optimizer_.load_state(snapshot.optimizer);
  loss_.set_running_counts(state.at("loss_running_counts").get<std::array<double, 3>>());
  step_ = saved_step_ = snapshot.step;
  core::log_info("resuming from {} (step {})", from->string(), step_);
}

void Trainer::Impl::require_same_training(const Json& state, const fs::path& from) const {
  const Json& before = state.at("config");
  auto changes = run_changing_differences(before, effective_config_);
  const int64_t micro_batches =
      before["train"].value("grad_accum_steps", int64_t{1}) * state.value("ranks", int64_t{1});
  if (micro_batches != plan_.micro_batches_of_step()) {
    changes.push_back(
        fmt::format("micro-batches of a step (train.grad_accum_steps x ranks): {} -> {}",
                    micro_batches, plan_.micro_batches_of_step()));
  }
  if (!changes.empty()) {
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("the run in this folder has other settings ({})", fmt::join(changes, "; ")),
        from.string(), "use its settings, or choose another checkpoint.dir for a new run");
  }
  if (state.at("data_fingerprint") != source_.fingerprint()) {
    throw core::Error(core::ErrorKind::kConfig, "data.train is not what this run was started with",
                      from.string(),
                      "restore the files, or choose another checkpoint.dir for a new run");
  }
}

// The first rank looks; all take what it found.
std::optional<fs::path> Trainer::Impl::newest_checkpoint() {
  std::optional<fs::path> newest;
  if (ranks_->first()) {
    std::vector<std::string> passed_over;
    newest = snapshots_.newest_sound(&passed_over);
    for (const std::string& reason : passed_over)
      core::log_warning("checkpoint passed over: {}", reason);
  }
  const std::string found = ranks_->gather(newest ? newest->string() : "").front();
  if (found.empty()) return std::nullopt;
  return found;
}

// Collective: the state is brought together from all ranks.
checkpoint::Snapshot Trainer::Impl::capture() {
  return {.step = step_,
          .weights = model::named_weights(*model_),
          .optimizer = optimizer_.state(),
          .trainer_state = {{"step", step_},
                            {"ranks", ranks_->size()},
                            {"config", effective_config_},
                            {"data_fingerprint", source_.fingerprint()},
                            {"loss_running_counts", loss_.running_counts()},
                            {"skipped", report_.entries()}}};
}

void Trainer::Impl::save() {
  const checkpoint::Snapshot snapshot = capture();
  by_first_rank("saving", [&] { saver_.start(snapshot); });
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

fs::path Trainer::Impl::evaluation_path() const {
  return folder_.path() / fmt::format("eval-{}.json", step_);
}

// False when a signal ended it: nothing is written then.
bool Trainer::Impl::evaluate(int64_t max_samples) {
  struct Stopped {};
  const data::SampleSource held_out =
      open_source(config_, config_.data.eval, model_dir_.path, source_.options().frame_cache);
  const eval::EvaluateOptions options = {.teacher_forced = config_.eval.teacher_forced,
                                         .max_samples = max_samples,
                                         .num_threads = static_cast<int>(config_.data.num_workers),
                                         .progress = [&](int64_t, int64_t) {
                                           if (asked_to_stop()) throw Stopped();
                                         }};
  try {
    const eval::EvalReport result = eval::evaluate(*model_, chat_, held_out, options);
    const Json json = eval::to_json(result, /*with_timelines=*/true);
    core::write_file_atomic(evaluation_path(), json.dump() + "\n");
    metrics_->log_eval(step_, json);
    core::log_info("step {}: held-out samples\n{}", step_, eval::to_table(result));
    return true;
  } catch (const Stopped&) {
    core::log_info("step {}: evaluation stopped, the next start makes it", step_);
    return false;
  }
}

Outcome Trainer::Impl::finish() {
  save_last();
  const fs::path final_dir = RunFolder::final_model(folder_.path());
  double stopped = 0;
  by_first_rank("export", [&] {
    if (!config_.data.eval.empty() && !evaluate(/*max_samples=*/0)) {
      stopped = 1;
      return;
    }
    write_report(folder_.path());
    model::save_model_directory(*model_, model_dir_.path, final_dir,
                                conversation_settings(config_));
  });
  if (ranks_->sum(stopped) > 0) return Outcome::kStoppedAndSaved;
  core::log_info("finished: {} steps, {} samples skipped\n  model   {}\n  report  {}", step_,
                 report_.size(), final_dir.string(), (folder_.path() / "report.html").string());
  return Outcome::kFinished;
}

void Trainer::Impl::print_plan() const {
  int64_t trained = 0, all = 0;
  for (const torch::Tensor& parameter : model_->parameters()) all += parameter.numel();
  for (const NamedParameter& parameter : optimizer_.parameters()) trained += parameter.numel();
  core::log_info("run       {}", folder_.path().string());
  core::log_info("device    {}, {}, {} threads", device_.str(), config_.model.dtype,
                 at::get_num_threads());
  if (ranks_->size() > 1) core::log_info("ranks\n{}", ranks_->table());
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

Trainer::Trainer(RunConfig config, std::shared_ptr<dist::Ranks> ranks) {
  core::keep_freed_memory();
  set_num_threads(config.train.num_threads, *ranks);
  impl_ = std::make_unique<Impl>(std::move(config), std::move(ranks));
}
Trainer::~Trainer() = default;
Outcome Trainer::run() {
  return impl_->run();
}

}  // namespace streamo::train
