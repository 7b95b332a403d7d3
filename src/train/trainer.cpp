// Makes all that a run needs, in the order in which one needs the other.
#include "train/trainer.h"

#include "config/options.h"
#include "core/io/file.h"
#include "run/same_run.h"
#include "train/taken_names.h"
#include "train/trainer_impl.h"

namespace streamo::train {

namespace fs = std::filesystem;

Trainer::Impl::Impl(config::RunConfig run_config, std::shared_ptr<parallel::Ranks> ranks)
    : ranks_(std::move(ranks)),
      threads_(run_config.train.num_threads, *ranks_),
      config_(std::move(run_config)),
      effective_config_(config::make_schema(config_).values()),
      patience_(config_.parallel.timeout, config_.data.decode_timeout),
      folder_(config_.checkpoint.dir, ranks_->first()),
      device_(claim_device(*ranks_)),
      source_(config::open_source(config_, config_.data.train, /*model_dir=*/{},
                                  config::open_frame_cache(config_))),
      data_identity_(run::data_identity(source_.file_contents())),
      model_dir_(make_model_directory()),
      tokenizer_(text::load_tokenizer(model_dir_.path)),
      chat_(*tokenizer_),
      model_(load_model(config_, model_dir_, device_,
                        resume_point_ ? resume_point_->path : fs::path())),
      report_(ranks_->first() ? folder_.path() / "skipped.jsonl" : fs::path()),
      kept_plan_(folder_.path(), source_, chat_,
                 config::index_options(config_, model_->pixels_per_token_side()), *ranks_),
      index_(make_index()),
      plan_(plan_items(index_, *model_, config_.model),
            config::plan_options(config_, ranks_->rank(), ranks_->size())),
      loss_({.gamma = config_.loss.gamma, .alpha_scope = config_.loss.alpha_scope}),
      reducer_(parallel::make_gradient_reducer(
          named_parameters(config_, *model_, chat_.special()), *model_, sharding(ranks_, config_),
          config_.train.deterministic ? parallel::SumOrder::kTree
                                      : parallel::SumOrder::kSequential)),
      optimizer_(*reducer_, adamw_config(config_.optim)),
      schedule_(config_.optim.schedule, config_.optim.lr, config_.optim.warmup_ratio,
                plan_.total_steps()),
      snapshots_(folder_.path(), model_dir_.path, config_.checkpoint.keep,
                 config::inference_settings(config_).files()),
      training_step_({.config = config_,
                      .ranks = *ranks_,
                      .model = *model_,
                      .device = device_,
                      .loss = loss_,
                      .reducer = *reducer_,
                      .optimizer = optimizer_,
                      .schedule = schedule_,
                      .micro_batches = plan_.micro_batches_of_step(),
                      .run_folder = folder_.path()},
                     [this] { return asked_to_stop(); }) {
  restore();
  open_at_step();
}

// What begins where the run does: behind the last step of the checkpoint.
void Trainer::Impl::open_at_step() {
  report_.check_fraction(config_.data.max_bad_fraction, source_.size());
  data::require_answers(index_, config_.data.max_bad_fraction);
  if (ranks_->first()) {
    core::write_file_atomic(folder_.path() / "config.json", effective_config_.dump(2) + "\n");
    metrics_ =
        std::make_unique<metrics::MetricsLog>(folder_.path(), step_, config_.log.tensorboard);
  }
  held_out_ = std::make_unique<Validator>(config_, ranks_, folder_.path(), model_dir_.path,
                                          source_.options().frame_cache, step_);
  loader_ = std::make_unique<data::Loader>(
      source_, chat_, index_, plan_,
      data::LoaderOptions{.num_workers = static_cast<int>(config_.data.num_workers),
                          .token_side = model_->pixels_per_token_side()},
      step_);
}

run::ModelDirectory Trainer::Impl::make_model_directory() {
  run::require_same_run(*ranks_, effective_config_, data_identity_);
  resume_point_ = run::find_resume_point(config_.checkpoint.resume, folder_.path(),
                                         {effective_config_, data_identity_}, *ranks_);
  if (!ranks_->first()) ranks_->barrier();  // until it is written
  if (ranks_->first()) require_free_names(folder_.path());
  run::ModelDirectory directory =
      run::prepare_model_directory(config_, folder_.path(), source_, /*write=*/ranks_->first(),
                                   resume_point_ ? resume_point_->path : fs::path());
  if (ranks_->first()) ranks_->barrier();
  if (resume_point_) run::require_same_model_files(*resume_point_, directory.path);
  return directory;
}

// The model directory may be younger than the source: a preset's tokenizer is trained on its texts.
data::Index Trainer::Impl::make_index() {
  source_.set_pixel_limits(config::pixel_limits(config_, model_dir_.path));
  ranks_->set_heartbeat_timeout(patience_.for_silence());
  ranks_->set_activity("indexing", core::reading(),
                       patience_.for_data(patience_.outside("indexing")));
  require_held_out(config_, folder_.path(), model_dir_.path, source_.options().frame_cache,
                   *ranks_);
  data::Index index = resume_point_
                          ? kept_plan_.go_on(*resume_point_, report_, config_.data.max_bad_fraction)
                          : kept_plan_.begin(report_);
  ranks_->set_activity("start");
  return index;
}

Trainer::Trainer(config::RunConfig config, std::shared_ptr<parallel::Ranks> ranks)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(ranks))) {}
Trainer::~Trainer() = default;
Outcome Trainer::run() {
  return impl_->run();
}

}  // namespace streamo::train
