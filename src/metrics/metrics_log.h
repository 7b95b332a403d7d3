// What a run says about itself: metrics.jsonl for machines, TensorBoard events for browsers.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace streamo::metrics {

struct StepMetrics {                  // of one optimizer step, over all ranks
  int64_t step = 0, total_steps = 0;  // step: updates done, so 1 after the first
  double epoch = 0;
  double loss = 0;        // what is minimised
  double loss_text = 0;   // mean unweighted cross-entropy of the text targets
  double loss_state = 0;  // and of the state targets
  std::array<int64_t, 3> state_targets{}, state_hits{};  // by text::State; hits / targets = recall
  double lr = 0, grad_norm = 0;                          // norm before clipping
  double tokens_per_second = 0, video_seconds_per_second = 0;
  double data_wait = 0;     // share of the time spent waiting for data, 0..1
  double rank_balance = 1;  // time that ranks computed in this step, their mean over their maximum
  int64_t peak_memory_bytes = 0;
  double eta_seconds = 0;
  int64_t skipped = 0;            // samples left out since the start of the run
  int64_t supervised_tokens = 0;  // of this step
  int64_t tokens = 0;
};

// One object a logged step. Recall of a state without targets and numbers that are not finite
// become null.
nlohmann::ordered_json to_json(const StepMetrics& metrics);

// Appends to <run_dir>/metrics.jsonl, a line a call, and (when asked) to a TensorBoard file beside
// it. A disk that takes no more is a warning, and what is missing is added when there is room.
class MetricsLog {
 public:
  // A resumed run repeats the steps after its checkpoint: lines of steps > resume_step are dropped
  // first, and TensorBoard is told to forget them, so each curve stays one clean line. A line that
  // a killed run left incomplete goes as well. Throws core::Error{kDisk}.
  MetricsLog(const std::filesystem::path& run_dir, int64_t resume_step, bool tensorboard);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  void log(const StepMetrics& metrics);
  // {"step":..,"eval":{...}}; `eval` as eval-<step>.json has it, of which only numbers are kept.
  void log_eval(int64_t step, const nlohmann::ordered_json& eval);
  bool is_behind() const;  // lines wait for room

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::metrics
