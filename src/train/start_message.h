// What a run says of itself before its first step, and what of it may not be as it was meant.
#pragma once

#include <torch/torch.h>

#include <filesystem>

#include "streamo/data/index.h"
#include "streamo/data/plan.h"
#include "streamo/dist/ranks.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/train/optimizer.h"
#include "streamo/train/run_config.h"
#include "streamo/train/schedule.h"

namespace streamo::train {

struct StartFacts {
  const RunConfig& config;
  const std::filesystem::path& run_folder;
  torch::Device device;
  size_t samples;
  int64_t skipped;
  const data::Index& index;
  const data::Plan& plan;
  const Schedule& schedule;
  int64_t steps_done;
};

// Collective.
void tell_start(const StartFacts& facts, const model::VisionLanguageModel& model,
                const AdamW& optimizer, dist::Ranks& ranks);

}  // namespace streamo::train
