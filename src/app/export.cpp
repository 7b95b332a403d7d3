// streamo export CHECKPOINT OUT_DIR: a Hugging Face style model directory from a training
// checkpoint, or from another such directory.
#include <chrono>

#include "app/command.h"
#include "app/sound_checkpoint.h"
#include "core/io/output.h"
#include "core/log.h"
#include "model/hf_directory.h"

namespace streamo::app {

void add_export_command(CLI::App& app) {
  struct Arguments {
    std::string checkpoint, out_dir;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("export", "Write a checkpoint as a Hugging Face model directory");
  command
      ->add_option("CHECKPOINT", arguments->checkpoint,
                   "checkpoint-<step> folder of a run, or a model directory")
      ->required();
  command
      ->add_option("OUT_DIR", arguments->out_dir,
                   "Folder to make. One that is there is replaced if it is empty or an earlier "
                   "export (files of yours in it stay), else refused")
      ->required();
  command->callback([arguments] {
    const std::filesystem::path from = arguments->checkpoint;
    const std::filesystem::path to = core::output_directory(arguments->out_dir, {from});
    if (is_checkpoint(from)) require_sound_checkpoint(from);
    const auto begin = std::chrono::steady_clock::now();
    auto model = model::build_model(from / "config.json");
    model::check_companion_files(from);
    model::load_weights(*model, from);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    core::log_info("{} read in {:.1f} s", from.string(), seconds.count());
    model::save_model_directory(*model, from, to);
    core::log_info("written to {}", arguments->out_dir);
  });
}

}  // namespace streamo::app
