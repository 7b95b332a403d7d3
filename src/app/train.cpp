// streamo train CONFIG [key=value ...]: one process of a training run.
#include <memory>

#include "app/command.h"
#include "core/log.h"
#include "core/process/memory.h"
#include "core/process/stop_signal.h"
#include "parallel/launch.h"
#include "streamo/core/error.h"
#include "train/trainer.h"

namespace streamo::app {
namespace {

constexpr const char* kNothingToSave = "nothing is unsaved, the same command goes on from here";

void train(const std::string& config, const std::vector<std::string>& overrides) {
  core::disable_malloc_trim();
  const parallel::Launch launch = parallel::read_launch();
  if (launch.world_size > 1) core::set_log_rank(launch.rank);
  constexpr int kStopped = static_cast<int>(core::ErrorKind::kStopped);
  core::set_stop_rule({.said = kNothingToSave, .exit_code = kStopped});
  const auto ranks = std::make_shared<parallel::Ranks>(launch);
  // As long as the trainer has nothing to save. The others learn of it before this process is gone.
  core::set_stop_rule({.said = kNothingToSave,
                       .exit_code = kStopped,
                       .tell_others =
                           [all = std::weak_ptr(ranks)] {
                             if (const auto they = all.lock()) they->leave_after_stop();
                           },
                       .others_stop =
                           [all = std::weak_ptr(ranks)] {
                             const auto they = all.lock();
                             return they && they->stop_requested();
                           }});
  try {
    train::Trainer trainer(config::load_run_config(config, overrides), ranks);
    if (trainer.run() == train::Outcome::kFinished) return;
  } catch (const std::exception& error) {
    ranks->announce_failure(error.what());
    throw;
  }
  throw core::Error(core::ErrorKind::kStopped, "stopped by a signal and saved", "",
                    "the same command goes on from here");
}

}  // namespace

void add_train_command(CLI::App& app) {
  struct Arguments {
    std::string config;
    std::vector<std::string> overrides;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "train", "Train as a config file says; goes on where a former run stopped");
  command->add_option("CONFIG", arguments->config, "JSON file (see `streamo config`)")->required();
  command->add_option("OVERRIDES", arguments->overrides, "key=value, as in optim.lr=2e-5");
  command->callback([arguments] { train(arguments->config, arguments->overrides); });
}

}  // namespace streamo::app
