// streamo plan CONFIG: estimates a run's memory, time and communication before it is started.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/command.h"
#include "app/number_option.h"
#include "core/io/scratch_folder.h"
#include "core/print.h"
#include "estimate/run_estimate.h"
#include "streamo/core/error.h"

namespace streamo::app {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  int gpus = 1;
  double memory_gb = 141, peak_tflops = 989.5, mfu = 0.4;
};

void plan(const Arguments& arguments) {
  const config::RunConfig config = config::load_run_config(arguments.config, arguments.overrides);
  const core::ScratchFolder scratch;
  const estimate::RunEstimate plan = estimate::estimate_run(config, arguments.gpus, scratch.path());
  const estimate::Hardware hardware{.memory_bytes = arguments.memory_gb * 1e9,
                                    .peak_flops = arguments.peak_tflops * 1e12,
                                    .mfu = arguments.mfu};
  core::print_result("{}", estimate::describe(plan, hardware));
  core::flush_results();
  const auto mode = std::find_if(plan.modes.begin(), plan.modes.end(), [&](const auto& each) {
    return each.shard == plan.configured_shard;
  });
  if (estimate::fits(mode->memory, hardware)) return;
  throw core::Error(core::ErrorKind::kMemory,
                    fmt::format("the run does not fit: {:.1f} GB are needed at the peak",
                                mode->memory.peak() / 1e9),
                    std::string("parallel.shard=") + parallel::traits(mode->shard).name,
                    "take another mode or more GPUs, set model.gradient_checkpointing=true, or "
                    "lower data.max_length");
}

}  // namespace

void add_plan_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "plan", "Foretell memory, time and traffic of a run; exits with 15 when it does not fit");
  command->add_option("CONFIG", arguments->config, "JSON file (see `streamo config`)")->required();
  command->add_option("OVERRIDES", arguments->overrides, "key=value, as in data.max_length=16384");
  command->add_option("--gpus", arguments->gpus, "GPUs of the run")
      ->transform(whole_number(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--gpu-memory", arguments->memory_gb, "Of each, in GB (1e9 bytes)")
      ->transform(number(1e-3, kMaxCount))
      ->capture_default_str();
  command->add_option("--gpu-tflops", arguments->peak_tflops, "Peak of each, dense, in TFLOP/s")
      ->transform(number(1e-3, kMaxCount))
      ->capture_default_str();
  command->add_option("--mfu", arguments->mfu, "The share of the peak that is expected")
      ->transform(number(0.001, 1))
      ->capture_default_str();
  command->callback([arguments] { plan(*arguments); });
}

}  // namespace streamo::app
