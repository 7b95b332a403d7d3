// The held-out samples of a run: evaluated now and then, with the best model kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "best_model.h"
#include "streamo/eval/evaluator.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"
#include "streamo/train/metrics.h"
#include "streamo/train/run_config.h"
#include "streamo/video/frame_cache.h"

namespace streamo::train {

class HeldOut {
 public:
  // `resume_step`: of the run. `model_dir`: with the files that a model is saved with.
  HeldOut(const RunConfig& config, std::filesystem::path run_folder,
          std::filesystem::path model_dir, std::shared_ptr<video::FrameCache> frame_cache,
          int64_t resume_step);

  // Writes <run>/eval-<step>.json and the metrics, and <run>/best when the model is the best so
  // far. False when `asked_to_stop` ended it, as it is asked after each sample: nothing is written
  // then.
  bool evaluate(model::VisionLanguageModel& model, const text::ChatFormat& chat, int64_t step,
                int64_t max_samples, MetricsLog& metrics,
                const std::function<bool()>& asked_to_stop);
  // Whether the evaluation of that step has been made.
  bool evaluated(int64_t step) const;

 private:
  std::filesystem::path result_path(int64_t step) const;
  void keep_if_best(model::VisionLanguageModel& model, int64_t step, const eval::EvalReport& result,
                    const data::SampleSource& samples);

  const RunConfig& config_;
  std::filesystem::path run_folder_, model_dir_;
  std::shared_ptr<video::FrameCache> frame_cache_;
  BestModel best_;
};

}  // namespace streamo::train
