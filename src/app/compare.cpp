// streamo compare RUN_A RUN_B: the first step and the first tensor in which two runs differ.
#include <fmt/format.h>

#include <memory>

#include "app/command.h"
#include "app/number_option.h"
#include "compare/compare_runs.h"
#include "core/print.h"

namespace streamo::app {
namespace {

constexpr int kDifferent = 1;  // as diff and cmp

struct Arguments {
  std::string first, second;
  double tolerance = 0;
};

void compare(const Arguments& arguments) {
  const compare::RunComparison comparison =
      compare::compare_runs(arguments.first, arguments.second, arguments.tolerance);
  core::print_result("{}", compare::describe(comparison));
  if (!comparison.equal()) throw CLI::RuntimeError(kDifferent);
}

}  // namespace

void add_compare_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "compare",
      "Name the first step and tensor in which two runs differ; exits with 0: equal, 1: different");
  command->add_option("RUN_A", arguments->first, "Folder of a run")->required();
  command->add_option("RUN_B", arguments->second, "Folder of the other")->required();
  command
      ->add_option("--tolerance", arguments->tolerance,
                   "Relative difference that counts as none (0: bit for bit)")
      ->transform(number(0, 1))
      ->capture_default_str();
  command->callback([arguments] { compare(*arguments); });
}

}  // namespace streamo::app
