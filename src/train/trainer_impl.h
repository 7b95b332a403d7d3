// What a run is made of, and what it does in which order: trainer.cpp makes it, training_loop.cpp
// runs it.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "checkpoint/async_saver.h"
#include "checkpoint/snapshot.h"
#include "core/process/progress.h"
#include "core/process/stop_signal.h"
#include "data/loading/loader.h"
#include "metrics/metrics_log.h"
#include "metrics/terminal.h"
#include "metrics/throughput.h"
#include "optim/lr_schedule.h"
#include "parallel/gradient_reducer.h"
#include "run/kept_plan.h"
#include "run/model_directory.h"
#include "run/resume.h"
#include "run/run_folder.h"
#include "train/model_setup.h"
#include "train/patience.h"
#include "train/trainer.h"
#include "train/training_step.h"
#include "train/validator.h"
#include "train/work_division.h"

namespace streamo::train {

struct Trainer::Impl {
  Impl(config::RunConfig run_config, std::shared_ptr<parallel::Ranks> ranks);

  Outcome run();

 private:
  bool train();
  run::ModelDirectory make_model_directory();
  data::Index make_index();
  std::optional<metrics::StepMetrics> train_step(metrics::Throughput& throughput);
  void show(metrics::StepMetrics& metrics, metrics::Throughput& throughput,
            metrics::TerminalDisplay& display);
  bool is_finished();
  bool asked_to_stop();
  void restore();
  void open_at_step();
  void require_finite();
  checkpoint::Snapshot capture();
  void save();
  void save_last();
  bool evaluate(int64_t max_samples);
  Outcome finish();
  void begin_step(double median_step_seconds);
  void begin_outside_steps(const char* what, const core::Progress& progress);
  template <typename Work>
  void by_first_rank(const char* what, const Work& work);

  core::SaveOnSignal save_on_signal_;
  std::shared_ptr<parallel::Ranks> ranks_;
  RankThreads threads_;
  config::RunConfig config_;
  nlohmann::ordered_json effective_config_;
  Timeouts patience_;
  run::RunFolder folder_;
  torch::Device device_;
  data::SampleSource source_;
  nlohmann::ordered_json data_identity_;
  std::optional<run::ResumePoint> resume_point_;  // until it is restored
  run::ModelDirectory model_dir_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  text::ChatFormat chat_;
  std::shared_ptr<model::VisionLanguageModel> model_;
  data::SampleReport report_;
  run::KeptPlan kept_plan_;
  data::Index index_;
  data::Plan plan_;
  loss::StreamingLoss loss_;
  std::unique_ptr<parallel::GradientReducer> reducer_;
  optim::AdamW optimizer_;
  optim::LrSchedule schedule_;
  checkpoint::SnapshotStore snapshots_;
  checkpoint::AsyncSaver saver_{snapshots_};  // the first rank's
  int64_t step_ = 0;                          // updates done
  int64_t first_step_ = 1;                    // of this process
  int64_t saved_step_ = -1;                   // as far as it did not fail: save_last() makes sure
  bool stopping_ = false, saving_ = false;    // all ranks agree
  TrainingStep training_step_;
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<metrics::MetricsLog> metrics_;  // the first rank's, like the next
  bool log_is_behind_ = false;
  std::unique_ptr<Validator> held_out_;
};

}  // namespace streamo::train
