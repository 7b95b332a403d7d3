// streamo train CONFIG [key=value ...]: one process of a training run.
#include "app/command.h"
#include "streamo/core/error.h"
#include "streamo/core/log.h"
#include "streamo/core/memory.h"
#include "streamo/dist/launch.h"
#include "streamo/train/trainer.h"

namespace streamo::app {
namespace {

void train(const std::string& config, const std::vector<std::string>& overrides) {
  core::keep_freed_memory();
  const dist::Launch launch = dist::read_launch();
  if (launch.world_size > 1) core::set_log_rank(launch.rank);
  const auto ranks = std::make_shared<dist::Ranks>(launch);
  try {
    train::Trainer trainer(train::load_run_config(config, overrides), ranks);
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
