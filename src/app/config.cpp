// streamo config [--schema] [KEY]: lists the settings.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/command.h"
#include "config/run_config.h"
#include "core/print.h"

namespace streamo::app {

void add_config_command(CLI::App& app) {
  struct Arguments {
    bool schema = false;
    std::string key;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("config", "List the settings of a run, with types, defaults and meaning");
  command->add_flag("--schema", arguments->schema, "Print a JSON Schema for editors instead");
  command->add_option("KEY", arguments->key, "One setting (optim.lr) or section (optim)");
  command->callback([arguments] {
    config::RunConfig config;
    const core::ConfigSchema schema = config::make_schema(config);
    core::print_result("{}", arguments->schema ? schema.json_schema().dump(2) + "\n"
                                               : schema.describe(arguments->key));
  });
}

}  // namespace streamo::app
