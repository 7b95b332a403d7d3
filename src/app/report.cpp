// streamo report: regenerates report.html from the files of the run folder.
#include "report/report.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "app/command.h"
#include "core/print.h"

namespace streamo::app {

void add_report_command(CLI::App& app) {
  const auto run_dir = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("report", "Write report.html of a run: curves, states, timelines");
  command->add_option("RUN_DIR", *run_dir, "Folder of the run (checkpoint.dir of its config)")
      ->required();
  command->callback([run_dir] {
    const std::filesystem::path folder(*run_dir);
    report::write_report(folder);
    core::print_result("{}\n", (folder / "report.html").string());
  });
}

}  // namespace streamo::app
