// The held-out samples of a run: evaluated now and then by all its ranks, with the best model kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "config/run_config.h"
#include "eval/evaluator.h"
#include "metrics/metrics_log.h"
#include "parallel/ranks.h"
#include "run/best_model.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"
#include "video/cache/frame_cache.h"

namespace streamo::train {

// Collective. Looks through the samples of data.eval, as it is done before a run begins with those
// of data.train: what cannot be used is listed in <run>/skipped-eval.jsonl, and said. Throws
// core::Error{kData} for a missing, broken or empty file, or when no sample is left.
void require_held_out(const config::RunConfig& config, const std::filesystem::path& run_folder,
                      const std::filesystem::path& model_dir,
                      std::shared_ptr<video::FrameCache> frame_cache, parallel::Ranks& ranks);

class Validator {
 public:
  // `resume_step`: of the run. `model_dir`: with the files that a model is saved with.
  Validator(const config::RunConfig& config, std::shared_ptr<parallel::Ranks> ranks,
            std::filesystem::path run_folder, std::filesystem::path model_dir,
            std::shared_ptr<video::FrameCache> frame_cache, int64_t resume_step);

  // Collective: every rank, with the whole model, plays a share of the samples. The first one
  // writes <run>/eval-<step>.json and the metrics (which others do not have), and <run>/best when
  // the model is the best so far. False when `asked_to_stop` ended it, as it is asked after each
  // sample: nothing is written then. What fails on one rank fails on all, which are then where they
  // were.
  bool evaluate(model::VisionLanguageModel& model, const text::ChatFormat& chat, int64_t step,
                int64_t max_samples, metrics::MetricsLog* metrics,
                const std::function<bool()>& asked_to_stop);
  // Collective. Whether the evaluation of that step has been made.
  bool evaluated(int64_t step) const;

 private:
  std::filesystem::path result_path(int64_t step) const;
  std::optional<eval::Predictions> play(model::VisionLanguageModel& model,
                                        const text::ChatFormat& chat,
                                        const data::SampleSource& source,
                                        const std::vector<size_t>& samples,
                                        const std::function<bool()>& asked_to_stop);
  void write_result(model::VisionLanguageModel& model, int64_t step, const eval::EvalReport& result,
                    const data::SampleSource& source, metrics::MetricsLog& metrics);
  void keep_if_best(model::VisionLanguageModel& model, int64_t step, const eval::EvalReport& result,
                    const data::SampleSource& samples);

  const config::RunConfig& config_;
  std::shared_ptr<parallel::Ranks> ranks_;
  std::filesystem::path run_folder_, model_dir_;
  std::shared_ptr<video::FrameCache> frame_cache_;
  run::BestModel best_;
};

}  // namespace streamo::train
