// The training step: forward, loss and backward of the micro-batches of all ranks, one update.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "config/run_config.h"
#include "data/loading/batch.h"
#include "loss/streaming_loss.h"
#include "metrics/metrics_log.h"
#include "optim/adamw.h"
#include "optim/lr_schedule.h"
#include "parallel/gradient_reducer.h"
#include "parallel/ranks.h"
#include "streamo/model/vision_language_model.h"
#include "train/step_loss.h"
#include "train/stragglers.h"

namespace streamo::train {

struct StepOutcome {
  bool done = false;      // false: some rank was stopped in the middle; nothing has changed then
  bool stopping = false;  // some rank was asked to stop; all know it
  bool saving = false;    // some rank was asked to save and go on
};

class TrainingStep {
 public:
  // What the run owns, and the step works on.
  struct Parts {
    const config::RunConfig& config;
    parallel::Ranks& ranks;
    model::VisionLanguageModel& model;
    torch::Device device;
    loss::StreamingLoss& loss;
    parallel::GradientReducer& reducer;
    optim::AdamW& optimizer;
    const optim::LrSchedule& schedule;
    int64_t micro_batches;             // of a step, over all ranks
    std::filesystem::path run_folder;  // for nonfinite_step.json
  };
  // `asked_to_stop` is looked at before each micro-batch; by all ranks together where they go
  // through their micro-batches in lockstep.
  TrainingStep(Parts parts, std::function<bool()> asked_to_stop)
      : parts_(std::move(parts)), asked_to_stop_(std::move(asked_to_stop)) {}

  // Collective. Does the update number metrics.step (from 1) and fills in its losses, targets,
  // grad_norm and lr; a step without a supervised token, and one that train.nonfinite skips, leave
  // them and the weights as they are. Throws core::Error{kNonFinite}, before the weights change,
  // when train.nonfinite is stop, or too many in a row were skipped; the samples are in
  // nonfinite_step.json then.
  StepOutcome run(const data::StepBatch& step, const StepTotals& totals,
                  metrics::StepMetrics& metrics);

 private:
  void name_straggler(std::span<const double> seconds);
  bool stops_here();
  bool accumulate(const data::StepBatch& step, const StepTotals& totals, StepLoss& sums);
  void compute(const data::MicroBatch& batch, const StepTotals& totals, StepLoss& sums);
  bool update(const data::StepBatch& step, const StepLoss& sums,
              const parallel::Gradients& gradients, metrics::StepMetrics& metrics);
  bool require_finite(const data::StepBatch& step, const StepLoss& sums,
                      const metrics::StepMetrics& metrics);

  Parts parts_;
  std::function<bool()> asked_to_stop_;
  int64_t skipped_in_a_row_ = 0;  // steps that were not finite
  Stragglers stragglers_;
};

}  // namespace streamo::train
