// The lines in which a run introduces itself.
#include "train/start_message.h"

#include <string>

#include "config/options.h"
#include "core/log.h"
#include "parallel/topology.h"
#include "train/work_division.h"

namespace streamo::train {
namespace {

// Settings that have no effect on this data, or not the one their name promises.
void warn_of_odd_settings(const StartFacts& facts) {
  const config::RunConfig& config = facts.config;
  const int64_t steps = facts.plan.total_steps();
  if (steps == 1 && config.optim.warmup_ratio > 0) {
    core::log_warning("the data are one step, which is trained at the full learning rate");
  } else if (facts.schedule.warmup_steps() >= steps) {
    core::log_warning(
        "all {} steps are warm-up: the learning rate never reaches optim.lr (optim.warmup_ratio "
        "{})",
        steps, config.optim.warmup_ratio);
  }
  if (config.data.packing && config.train.micro_batch_size > 1)
    core::log_warning(
        "train.micro_batch_size has no effect: data.packing fills micro-batches to "
        "data.max_length");
  if (config.eval.every_steps >= steps)
    core::log_warning("eval.every_steps = {}, and there are {} steps: evaluated only at the end",
                      config.eval.every_steps, steps);
}

}  // namespace

void tell_start(const StartFacts& facts, const model::VisionLanguageModel& model,
                const parallel::GradientReducer& reducer, parallel::Ranks& ranks) {
  const config::RunConfig& config = facts.config;
  const std::string topology = ranks.size() > 1 ? parallel::topology(ranks, facts.device) : "";
  if (!ranks.first()) return;
  int64_t trained = 0, all = 0;
  for (const torch::Tensor& parameter : model.parameters()) all += parameter.numel();
  for (const model::NamedParameter& parameter : reducer.parameters()) trained += parameter.numel();
  core::log_info("run       {}", facts.run_folder.string());
  core::log_info("device    {}, {}, {} threads", facts.device.str(), config.model.dtype,
                 at::get_num_threads());
  if (ranks.size() > 1) {
    core::log_info("ranks     {}", topology);
    core::log_info("sharding  {}", sharding_summary(config.parallel));
  }
  core::log_info("model     {} parameters, {} trained", all, trained);
  core::log_info(
      "data      {} samples in {} items, {} tokens, {} frames; {} skipped, {} longer than {} "
      "({})",
      facts.samples, facts.index.items.size(), facts.index.total_tokens, facts.index.total_frames,
      facts.skipped, facts.index.overlong_samples,
      data::window_limits(config::index_options(config, model.pixels_per_token_side())),
      config.data.overlong);
  core::log_info(
      "training  {} steps to go of {}, {} micro-batches a step, lr {} ({}, {} warm-up steps)",
      facts.plan.total_steps() - facts.steps_done, facts.plan.total_steps(),
      facts.plan.micro_batches_of_step(), config.optim.lr, config.optim.schedule,
      facts.schedule.warmup_steps());
  warn_of_odd_settings(facts);
}

}  // namespace streamo::train
