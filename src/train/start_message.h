// What a run says of itself before its first step, and what of it may not be as it was meant.
#pragma once

#include <torch/torch.h>

#include <filesystem>

#include "config/run_config.h"
#include "data/loading/plan.h"
#include "data/samples/index.h"
#include "optim/adamw.h"
#include "optim/lr_schedule.h"
#include "parallel/ranks.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::train {

struct StartFacts {
  const config::RunConfig& config;
  const std::filesystem::path& run_folder;
  torch::Device device;
  size_t samples;
  int64_t skipped;
  const data::Index& index;
  const data::Plan& plan;
  const optim::LrSchedule& schedule;
  int64_t steps_done;
};

// Collective.
void tell_start(const StartFacts& facts, const model::VisionLanguageModel& model,
                const parallel::GradientReducer& reducer, parallel::Ranks& ranks);

}  // namespace streamo::train
