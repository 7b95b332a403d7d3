#include "streamo/train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "model_setup.h"
#include "streamo/checkpoint/snapshot.h"
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
#include "train/best_model.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Sums over the micro-batches of a step, on the device: reading them is left to the end of the
// step.
struct LossSums {
  torch::Tensor loss, text, state;  // weighted and normalised; sums of plain cross-entropies
  torch::Tensor targets, hits;      // [3] by state
  void add(const loss::LossTerms& terms, const loss::SupervisedRows& rows) {
    const torch::Tensor is_state = rows.states.ge(0);
    const torch::Tensor right = terms.predictions.eq(rows.targets);
    const auto accumulate = [](torch::Tensor& sum, const torch::Tensor& value) {
      sum = sum.defined() ? sum + value : value;
    };
    accumulate(loss, terms.loss.detach());
    accumulate(text, terms.token_loss.masked_fill(is_state, 0).sum());
    accumulate(state, terms.token_loss.masked_fill(~is_state, 0).sum());
    const torch::Tensor of_state =
        rows.states.unsqueeze(1).eq(torch::arange(3, rows.states.options()));  // [R, 3]
    accumulate(targets, of_state.sum(0));
    accumulate(hits, of_state.logical_and(right.unsqueeze(1)).sum(0));
  }
};

std::array<int64_t, 3> to_counts(const torch::Tensor& counts) {
  const torch::Tensor host = counts.cpu();
  return {host[0].item<int64_t>(), host[1].item<int64_t>(), host[2].item<int64_t>()};
}

}  // namespace

struct Trainer::Impl {
  explicit Impl(RunConfig run_config);

  Outcome run();

 private:
  data::Index make_index();
  std::optional<StepMetrics> train_step(Throughput& throughput);
  void require_finite(double loss, double grad_norm, const data::StepBatch& step) const;
  void restore();
  checkpoint::Snapshot capture() const;
  void save();
  void evaluate(int64_t max_samples);
  void keep_if_best(const eval::EvalReport& result, const data::SampleSource& held_out);
  void finish();
  void print_plan() const;

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
  int64_t step_ = 0;  // updates done
  int64_t saved_step_ = -1;
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<MetricsLog> metrics_;
  std::optional<BestModel> best_;
  StopSignal stop_;
};

namespace {

std::vector<int64_t> token_counts(const data::Index& index) {
  std::vector<int64_t> tokens;
  for (const data::Item& item : index.items) tokens.push_back(item.tokens);
  return tokens;
}

}  // namespace

Trainer::Impl::Impl(RunConfig run_config)
    : config_(std::move(run_config)),
      effective_config_(schema_of(config_).values()),
      folder_(config_.checkpoint.dir),
      device_(available_device()),
      source_(
          open_source(config_, config_.data.train, /*model_dir=*/{}, open_frame_cache(config_))),
      model_dir_(prepare_model_directory(config_, folder_.path(), source_)),
      tokenizer_(text::load_tokenizer(model_dir_.path)),
      chat_(*tokenizer_),
      model_(load_model(config_, model_dir_, device_)),
      report_(folder_.path() / "skipped.jsonl"),
      index_(make_index()),
      plan_(token_counts(index_), plan_options(config_)),
      loss_({.gamma = config_.loss.gamma, .alpha_scope = config_.loss.alpha_scope}),
      optimizer_(named_parameters(config_, *model_, chat_.special()), adamw_config(config_.optim)),
      schedule_(config_.optim.schedule, config_.optim.lr, config_.optim.warmup_ratio,
                plan_.total_steps()),
      snapshots_(folder_.path(), model_dir_.path, config_.checkpoint.keep,
                 conversation_settings(config_)) {
  restore();
  core::write_file_atomic(folder_.path() / "config.json", effective_config_.dump(2) + "\n");
  metrics_ = std::make_unique<MetricsLog>(folder_.path(), step_, config_.log.tensorboard);
  best_.emplace(folder_.path(), config_.eval.every_steps > 0 ? config_.eval.best_metric : "",
                step_);
  loader_ = std::make_unique<data::Loader>(
      source_, chat_, index_, plan_, report_,
      data::LoaderOptions{.num_workers = static_cast<int>(config_.data.num_workers),
                          .max_bad_fraction = config_.data.max_bad_fraction,
                          .token_side = model_->pixels_per_token_side()},
      step_);
  print_plan();
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
  const int64_t first = step_ + 1;  // shown always: a sign of life
  while (step_ < plan_.total_steps()) {
    auto metrics = train_step(throughput);
    if (metrics) {
      if (step_ == first || step_ % config_.log.every_steps == 0 || step_ == plan_.total_steps()) {
        throughput.report(*metrics);
        metrics_->log(*metrics);
        display.show(*metrics);
      }
    }
    if (stop_.requested()) {
      display.finish_line();
      if (saved_step_ != step_) save();
      return Outcome::kStoppedAndSaved;
    }
    const bool last = step_ == plan_.total_steps();
    const auto due = [&](int64_t every) { return every > 0 && step_ % every == 0 && !last; };
    if (due(config_.checkpoint.every_steps)) save();
    if (due(config_.eval.every_steps)) {
      display.finish_line();
      evaluate(config_.eval.max_samples);
    }
    throughput.resume_clock();
  }
  display.finish_line();
  finish();
  return Outcome::kFinished;
}

// One optimizer step. nullopt when a signal came in the middle: nothing has changed then.
std::optional<StepMetrics> Trainer::Impl::train_step(Throughput& throughput) {
  const data::StepBatch step = loader_->next();  // decoded ahead of time
  const auto supervised =
      static_cast<double>(step.supervised_tokens());  // exact: all micro-batches of the step

  LossSums sums;
  for (const data::MicroBatch& batch : step.micro_batches) {
    const torch::Tensor hidden_states = model_->forward(to_model_input(batch, *model_, device_));
    const loss::SupervisedRows rows = supervised_rows(batch, hidden_states);
    const loss::LossTerms terms = loss_(rows, model_->lm_head_weight(), supervised);
    terms.loss.backward();
    sums.add(terms, rows);
    if (stop_.requested()) {
      optimizer_.zero_grad();
      return std::nullopt;
    }
  }
  StepMetrics metrics{.step = step_ + 1, .total_steps = plan_.total_steps(), .epoch = step.epoch};
  if (!step.micro_batches
           .empty()) {  // else every sample of the step was bad: they are listed, time goes on
    metrics.grad_norm = optimizer_.clip_grad_norm(config_.optim.clip_grad_norm);
    metrics.loss = sums.loss.item<double>();
    require_finite(metrics.loss, metrics.grad_norm, step);  // before the weights change
    metrics.lr = schedule_.lr(step_);
    optimizer_.step(metrics.lr);
    optimizer_.zero_grad();

    metrics.state_targets = to_counts(sums.targets);
    metrics.state_hits = to_counts(sums.hits);
    const auto states = static_cast<double>(sums.targets.sum().item<int64_t>());
    metrics.loss_state = sums.state.item<double>() / std::max(states, 1.0);
    metrics.loss_text = sums.text.item<double>() / std::max(supervised - states, 1.0);
  }
  ++step_;
  metrics.supervised_tokens = step.supervised_tokens();
  metrics.tokens = step.tokens();
  metrics.skipped = report_.size();
  throughput.add(step.tokens(), step.num_frames(), step.wait_seconds);
  return metrics;
}

void Trainer::Impl::require_finite(double loss, double grad_norm,
                                   const data::StepBatch& step) const {
  if (std::isfinite(loss) && std::isfinite(grad_norm)) return;
  std::vector<std::string> ids;
  for (const data::MicroBatch& batch : step.micro_batches)
    ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
  const fs::path dump = folder_.path() / "nonfinite_step.json";
  core::write_file_atomic(dump, Json{{"step", step_}, {"samples", ids}}.dump(2) + "\n");
  throw core::Error(
      core::ErrorKind::kNonFinite,
      fmt::format("loss {} and gradient norm {} at step {}, the weights were not changed", loss,
                  grad_norm, step_ + 1),
      dump.string() + " names its samples", "lower optim.lr or look at these samples");
}

void Trainer::Impl::restore() {
  const std::string& resume = config_.checkpoint.resume;
  std::optional<fs::path> from;
  if (resume == "auto") {
    std::vector<std::string> passed_over;
    from = snapshots_.newest_sound(&passed_over);
    for (const std::string& reason : passed_over)
      core::log_warning("checkpoint passed over: {}", reason);
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
  const auto differences = run_changing_differences(state.at("config"), effective_config_);
  if (!differences.empty()) {
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("the run in this folder has other settings ({})", fmt::join(differences, "; ")),
        from->string(), "use its settings, or choose another checkpoint.dir for a new run");
  }
  if (state.at("data_fingerprint") != source_.fingerprint()) {
    throw core::Error(core::ErrorKind::kConfig, "data.train is not what this run was started with",
                      from->string(),
                      "restore the files, or choose another checkpoint.dir for a new run");
  }
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

checkpoint::Snapshot Trainer::Impl::capture() const {
  return {.step = step_,
          .weights = model::named_weights(*model_),
          .optimizer = optimizer_.state(),
          .trainer_state = {{"step", step_},
                            {"config", effective_config_},
                            {"data_fingerprint", source_.fingerprint()},
                            {"loss_running_counts", loss_.running_counts()},
                            {"skipped", report_.entries()}}};
}

void Trainer::Impl::save() {
  snapshots_.save(capture());
  saved_step_ = step_;
}

void Trainer::Impl::evaluate(int64_t max_samples) {
  const data::SampleSource held_out =
      open_source(config_, config_.data.eval, model_dir_.path, source_.options().frame_cache);
  const eval::EvalReport result =
      eval::evaluate(*model_, chat_, held_out,
                     {.teacher_forced = config_.eval.teacher_forced,
                      .max_samples = max_samples,
                      .num_threads = static_cast<int>(config_.data.num_workers)});
  const Json json = eval::to_json(result, /*with_timelines=*/true);
  core::write_file_atomic(folder_.path() / fmt::format("eval-{}.json", step_), json.dump() + "\n");
  metrics_->log_eval(step_, json);
  core::log_info("step {}: held-out samples\n{}", step_, eval::to_table(result));
  keep_if_best(result, held_out);
}

// Compared on the samples of every evaluation: the last one is on more.
void Trainer::Impl::keep_if_best(const eval::EvalReport& result,
                                 const data::SampleSource& held_out) {
  const auto record = best_->improvement(
      step_, eval::to_json(eval::spread_subset(result, held_out, config_.eval.max_samples),
                           /*with_timelines=*/false));
  if (!record) return;
  auto files = conversation_settings(config_);
  files[BestModel::kRecord] = record->dump(2) + "\n";
  model::save_model_directory(*model_, model_dir_.path, BestModel::directory(folder_.path()),
                              files);
}

void Trainer::Impl::finish() {
  if (saved_step_ != step_) save();
  if (!config_.data.eval.empty()) evaluate(/*max_samples=*/0);
  const fs::path final_dir = RunFolder::final_model(folder_.path());
  write_report(folder_.path());
  model::save_model_directory(*model_, model_dir_.path, final_dir, conversation_settings(config_));
  core::log_info("finished: {} steps, {} samples skipped\n  model   {}\n  report  {}", step_,
                 report_.size(), final_dir.string(), (folder_.path() / "report.html").string());
}

void Trainer::Impl::print_plan() const {
  int64_t trained = 0, all = 0;
  for (const torch::Tensor& parameter : model_->parameters()) all += parameter.numel();
  for (const NamedParameter& parameter : optimizer_.parameters()) trained += parameter.numel();
  core::log_info("run       {}", folder_.path().string());
  core::log_info("device    {}, {}, {} threads", device_.str(), config_.model.dtype,
                 at::get_num_threads());
  core::log_info("model     {} parameters, {} trained", all, trained);
  core::log_info(
      "data      {} samples in {} items, {} tokens, {} frames; {} skipped, {} longer than {} "
      "tokens ({})",
      source_.size(), index_.items.size(), index_.total_tokens, index_.total_frames, report_.size(),
      index_.overlong_samples, config_.data.max_length, config_.data.overlong);
  core::log_info(
      "training  {} steps to go of {}, {} micro-batches a step, lr {} ({}, {} warm-up steps)",
      plan_.total_steps() - step_, plan_.total_steps(), config_.train.grad_accum_steps,
      config_.optim.lr, config_.optim.schedule, schedule_.warmup_steps());
}

Trainer::Trainer(RunConfig config) {
  core::keep_freed_memory();
  if (config.train.num_threads > 0) at::set_num_threads(static_cast<int>(config.train.num_threads));
  impl_ = std::make_unique<Impl>(std::move(config));
}
Trainer::~Trainer() = default;
Outcome Trainer::run() {
  return impl_->run();
}

}  // namespace streamo::train
