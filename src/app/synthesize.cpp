// streamo synthesize: generates the clips and annotations of the example task.
#include <limits>
#include <memory>

#include "app/command.h"
#include "app/number_option.h"
#include "data/synthetic/task.h"

namespace streamo::app {

void add_synthesize_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "synthesize", "Make the example task: H.264 clips of passing shapes and raw_data.json");
  const auto options = std::make_shared<data::ExampleTaskOptions>();
  command
      ->add_option("--out", options->out_dir,
                   "Folder to write to: a new or an empty one, or of an earlier call")
      ->required();
  command->add_option("--clips", options->num_clips, "Number of clips")
      ->transform(whole_number(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Other seeds give other clips")
      ->transform(whole_number(0, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  command->add_option("--num-workers", options->num_workers, "Threads; 0: one a core")
      ->transform(whole_number(0, 1024))
      ->capture_default_str();
  command->callback([options] { data::synthesize_example_task(*options); });
}

}  // namespace streamo::app
