// The one program. Commands throw core::Error; this is the only place that catches.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "app/command.h"
#include "streamo/core/error.h"
#include "streamo/core/log.h"
#include "streamo/core/suggest.h"

namespace {

using streamo::core::ErrorKind;

int fail(const char* message, int exit_code) {
  streamo::core::log_line("error: ", message);
  return exit_code;
}

// The parser says only that a command is missing, also when one is misspelt.
std::string problem_of(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (!app.get_subcommands().empty() || argc < 2 || argv[1][0] == '-') return error.what();
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return std::string(argv[1]) + " is not a command (" + streamo::core::suggestion(argv[1], names) +
         ")";
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe must not kill a run: writes report it instead
  CLI::App app(
      "Streamo: train vision-language models that watch a video live and know when to speak.");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  using namespace streamo::app;
  for (const auto add :
       {add_synthesize_command, add_convert_command, add_check_command, add_frames_command,
        add_prepare_command, add_plan_command, add_train_command, add_eval_command,
        add_watch_command, add_benchmark_command, add_thresholds_command, add_score_command,
        add_export_command, add_report_command, add_compare_command, add_inspect_command,
        add_config_command, add_doctor_command}) {
    add(app);
  }
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::RuntimeError& answer) {  // a command has printed it
    return answer.get_exit_code();
  } catch (const CLI::ParseError& error) {
    const streamo::core::Error usage(ErrorKind::kUsage, problem_of(app, error, argc, argv),
                                     "command line", "see `streamo --help`");
    return fail(usage.what(), usage.exit_code());
  } catch (const streamo::core::Error& error) {
    return fail(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    const streamo::core::Error memory(
        ErrorKind::kMemory, "out of memory", "this process",
        "use smaller batches (train.micro_batch_size, data.max_length)");
    return fail(memory.what(), memory.exit_code());
  } catch (const std::exception& error) {
    return fail(error.what(), static_cast<int>(ErrorKind::kInternal));
  }
}
