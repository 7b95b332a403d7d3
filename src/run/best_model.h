// The best of the models that a run evaluates, by a named number of the evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace streamo::run {

// It lies in <run>/best, a model directory like <run>/final that no pruning of checkpoints touches,
// with best.json {step, metric, value} in it: model and record appear together or not at all.
class BestModel {
 public:
  static constexpr const char* kRecord = "best.json";
  static std::filesystem::path directory(const std::filesystem::path& run) { return run / "best"; }

  // Of the record there; none where there is no such model.
  static std::optional<int64_t> best_step(const std::filesystem::path& run);

  // `metric`: one of eval::best_metric_names(), or "" to keep none. `resume_step`: a record of a
  // later step is forgotten, as that part of the run is done again; so is one of another metric.
  BestModel(const std::filesystem::path& run, std::string metric, int64_t resume_step);

  // The record to save beside the model when `eval` (as eval-<step>.json) beats all before it: of
  // equals the earlier stays. nullopt when it does not, or has no such number.
  std::optional<nlohmann::ordered_json> improvement(int64_t step,
                                                    const nlohmann::ordered_json& eval);

 private:
  std::string metric_;
  std::optional<double> value_;
};

}  // namespace streamo::run
