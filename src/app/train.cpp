// streamo train CONFIG [key=value ...]: one process of a training run.
#include <fmt/format.h>

#include "app/command.h"
#include "streamo/core/error.h"
#include "streamo/dist/launch.h"
#include "streamo/train/trainer.h"

namespace streamo::app {
namespace {

// Each process would train the whole run for itself and overwrite the others' files.
void refuse_several_ranks() {
  const dist::Launch launch = dist::read_launch();
  if (launch.world_size == 1) return;
  throw core::Error(core::ErrorKind::kUsage, "a run of several processes is not supported yet",
                    fmt::format("{} started {}", launch.launcher, launch.world_size),
                    "start one process");
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
  command->callback([arguments] {
    refuse_several_ranks();
    train::Trainer trainer(train::load_run_config(arguments->config, arguments->overrides));
    if (trainer.run() == train::Outcome::kStoppedAndSaved) {
      throw core::Error(core::ErrorKind::kStopped, "stopped by a signal and saved", "",
                        "the same command goes on from here");
    }
  });
}

}  // namespace streamo::app
