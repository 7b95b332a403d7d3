// The entry point. Commands throw core::Error, and this is the only place that catches it.
#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/failure.h"
#include "app/threads.h"
#include "core/log.h"
#include "core/print.h"
#include "core/process/machine.h"
#include "core/process/stop_signal.h"
#include "core/suggest.h"
#include "streamo/core/error.h"

namespace {

using streamo::core::Error;
using streamo::core::ErrorKind;

constexpr int kReaderGone = 128 + SIGPIPE;  // as a shell reports programs that the signal ended

int fail(const Error& error) {
  streamo::core::log_line("error: ", error.what());
  return error.exit_code();
}

// The parser says only that a command is missing, also when one is misspelt.
std::string describe_parse_error(const CLI::App& app, const CLI::ParseError& error, int argc,
                                 char** argv) {
  if (!app.get_subcommands().empty() || argc < 2 || argv[1][0] == '-') return error.what();
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return std::string(argv[1]) + " is not a command (" + streamo::core::suggestion(argv[1], names) +
         ")";
}

int run_command(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::RuntimeError& answer) {  // a command has printed it
    return answer.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return fail({ErrorKind::kUsage, describe_parse_error(app, error, argc, argv), "command line",
                 "see `streamo --help`"});
  } catch (const streamo::core::ReaderGone&) {
    return kReaderGone;
  } catch (const std::exception& error) {
    return fail(streamo::app::as_error(error));
  }
}

// A result that did not get where it was to go is an error of every command.
int end(int exit_code) {
  try {
    streamo::core::flush_results();
    return exit_code;
  } catch (const streamo::core::ReaderGone&) {
    return exit_code == 0 ? kReaderGone : exit_code;
  } catch (const Error& lost) {
    const int lost_code = fail(lost);
    return exit_code <= 1 ? lost_code : exit_code;  // 1: a comparison's answer
  }
}

}  // namespace

int main(int argc, char** argv) {
  streamo::core::reserve_standard_streams();
  // Where a write fails it says so: neither a closed pipe nor a file's largest size kills a run.
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2}) std::signal(signal, SIG_IGN);
  streamo::app::stop_waiting_threads_from_spinning(argc, argv);
  streamo::core::watch_stop_signals();
  streamo::core::raise_descriptor_limit();
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
  take_threads(argc, argv);
  return end(run_command(app, argc, argv));
}
