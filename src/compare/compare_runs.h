// Where two runs part: step by step by their metrics, tensor by tensor by their checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace streamo::compare {

struct StepDifference {
  int64_t step = 0;
  std::string key;              // of metrics.jsonl, as "states/Silence/hits"
  std::string first, second;    // the values, as JSON
  int64_t differing_steps = 0;  // from `step` on, of those both have
};

struct TensorDifference {
  std::string name;     // as in the files
  double absolute = 0;  // largest difference of two numbers; infinite where only one is a number
  double relative = 0;  // that, as a share of the tensor's largest number in either run
  std::string reason;   // instead: "only in A", another shape or type
};

struct CheckpointComparison {
  std::string name;  // of the folder: checkpoint-<step>, final
  int64_t tensors = 0, differing = 0;
  std::optional<TensorDifference> first;  // by name
  std::optional<TensorDifference> worst;  // by `relative`
  std::vector<std::string> state;         // entries of trainer_state.json that differ
  bool equal() const { return differing == 0 && state.empty(); }
};

// What both runs have is compared. That one goes further, or has kept other checkpoints, makes no
// difference; it is in only_in_one.
struct RunComparison {
  std::vector<std::string> settings;  // "optim.lr: 1e-05 -> 2e-05", of their effective configs
  int64_t steps = 0;                  // that both have logged
  std::optional<StepDifference> first_step;
  std::vector<CheckpointComparison> checkpoints;  // ascending by step, the final model last
  std::vector<std::string> only_in_one;           // in words

  bool equal() const;
};

// Compares what a run computes: no speeds, times, memory. Two numbers are the same when their
// difference is at most `tolerance` times the larger one's size; two tensors when their largest
// difference is at most `tolerance` times their largest number. With 0, bit for bit. Throws
// core::Error{kData} when a folder is no run or they have nothing in common, {kModel} for a damaged
// file.
RunComparison compare_runs(const std::filesystem::path& first, const std::filesystem::path& second,
                           double tolerance);

// In words, for a terminal; ends with a newline.
std::string describe(const RunComparison& comparison);

}  // namespace streamo::compare
