// streamo export CHECKPOINT OUT_DIR: a Hugging Face style model directory from a training
// checkpoint.
#include "app/command.h"
#include "streamo/checkpoint/snapshot.h"
#include "streamo/core/log.h"
#include "streamo/model/hf_directory.h"

namespace streamo::app {

void add_export_command(CLI::App& app) {
  struct Arguments {
    std::string checkpoint, out_dir;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("export", "Write a checkpoint as a Hugging Face model directory");
  command->add_option("CHECKPOINT", arguments->checkpoint, "checkpoint-<step> folder of a run")
      ->required();
  command->add_option("OUT_DIR", arguments->out_dir, "Folder to make")->required();
  command->callback([arguments] {
    const checkpoint::Snapshot snapshot = checkpoint::load_snapshot(arguments->checkpoint);
    auto model = model::build_model(std::filesystem::path(arguments->checkpoint) / "config.json");
    model->to(snapshot.weights.begin()->second.scalar_type());
    model::load_weights(*model, arguments->checkpoint);
    model::save_model_directory(*model, arguments->checkpoint, arguments->out_dir);
    core::log_info("step {} written to {}", snapshot.step, arguments->out_dir);
  });
}

}  // namespace streamo::app
