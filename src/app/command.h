// One file a command: each adds itself to the command line and sets the callback that runs it.
#pragma once

#include <CLI/CLI.hpp>

namespace streamo::app {

void add_convert_command(CLI::App& app);
void add_check_command(CLI::App& app);
void add_frames_command(CLI::App& app);
void add_synthesize_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_benchmark_command(CLI::App& app);
void add_thresholds_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_config_command(CLI::App& app);
void add_doctor_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_score_command(CLI::App& app);
void add_prepare_command(CLI::App& app);
void add_compare_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_watch_command(CLI::App& app);

}  // namespace streamo::app
