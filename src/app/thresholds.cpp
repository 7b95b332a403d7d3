// streamo thresholds EVAL.json: recall against false alarms for each response threshold.
#include "eval/thresholds.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/command.h"
#include "app/number_option.h"
#include "core/io/file.h"
#include "core/print.h"
#include "report/page.h"
#include "report/threshold_page.h"

namespace streamo::app {
namespace {

struct Arguments {
  std::string evaluation, html;
  std::optional<double> false_alarms;
  double tolerance = eval::kMatchWindow;
  bool json = false;
};

void print(const Arguments& arguments) {
  std::filesystem::path page;
  if (!arguments.html.empty())
    page = core::output_file(arguments.html, {arguments.evaluation}, report::is_our_page());
  const eval::OperatingCurve curve =
      eval::operating_curve(eval::read_evaluation(arguments.evaluation), arguments.tolerance);
  if (!page.empty()) {
    core::write_file_atomic(
        page, report::threshold_page(curve, arguments.evaluation, arguments.false_alarms));
  }
  core::print_result("{}\n", arguments.json ? eval::to_json(curve, arguments.false_alarms).dump(2)
                                            : eval::to_table(curve, arguments.false_alarms));
}

}  // namespace

void add_thresholds_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("thresholds", "How sure must a model be to speak: recall, false alarms");
  command
      ->add_option("EVAL", arguments->evaluation,
                   "File of `streamo eval --out`, or eval-<step>.json of a run")
      ->required();
  command
      ->add_option("--false-alarms", arguments->false_alarms,
                   "Wanted: at most so many false responses a minute")
      ->transform(number(0, kMaxCount));
  command
      ->add_option("--tolerance", arguments->tolerance,
                   "Seconds that a response may be off and still meet the true one")
      ->transform(number(0, kMaxCount))
      ->capture_default_str();
  command->add_option("--html", arguments->html,
                      std::string("Also write a page with the curves") + core::kReplaced);
  command->add_flag("--json", arguments->json, "Print JSON instead of a table");
  command->callback([arguments] { print(*arguments); });
}

}  // namespace streamo::app
