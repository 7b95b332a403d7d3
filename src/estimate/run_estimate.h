// What a run would take, before it is started: of its data exactly, of memory and time by formula.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "estimate/memory_estimate.h"

namespace streamo::estimate {

struct RunEstimate {
  int gpus = 1;
  int64_t samples = 0, skipped = 0, items = 0;
  int64_t tokens = 0, visual_tokens = 0, supervised_tokens = 0, frames = 0;  // of an epoch
  double flops = 0, executed_flops = 0;  // of an epoch; executed: with what is computed again
  int64_t epoch_steps = 0, total_steps = 0, micro_batches = 0;  // of a step, over all GPUs
  int64_t longest = 0;  // tokens of the micro-batch that takes most memory
  ParameterCounts parameters;
  parallel::ShardMode configured_shard = parallel::ShardMode::kOptimizer;
  struct Mode {
    parallel::ShardMode shard = parallel::ShardMode::kNone;
    MemoryEstimate memory;
    double traffic = 0;  // bytes that each GPU sends in a step
  };
  std::vector<Mode> modes;  // as in parallel::kShardModes
};

// Reads the whole dataset as a run would (no picture is decoded). `scratch`: an empty folder for a
// tokenizer that has to be made. Throws core::Error as a run does at its start.
RunEstimate estimate_run(const config::RunConfig& config, int gpus,
                         const std::filesystem::path& scratch);

// Of one GPU.
struct Hardware {
  double memory_bytes = 141e9;
  double peak_flops = 989.5e12;  // dense bf16 of an H100 or H200, as NVIDIA states it
  double mfu = 0.4;              // the share of it that the model's operations get
};

// Some of a GPU's memory is the driver's, and some lost between allocations.
inline constexpr double kUsableMemory = 0.92;
bool fits(const MemoryEstimate& memory, const Hardware& hardware);

// In words and a table, for a terminal; ends with a newline.
std::string describe(const RunEstimate& plan, const Hardware& hardware);

}  // namespace streamo::estimate
