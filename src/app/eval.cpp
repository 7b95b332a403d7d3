// streamo eval CONFIG|--model DIR: plays annotated videos to a model and scores what it says, when.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/number_option.h"
#include "config/run_config.h"
#include "core/io/file.h"
#include "core/io/output.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/print.h"
#include "eval/evaluator.h"
#include "run/run_folder.h"
#include "streamo/core/error.h"
#include "train/model_setup.h"

namespace streamo::app {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string config, model, data, video_prefix, out;
  bool json = false, teacher_forced = false, allow_outside_prefix = false;
  int64_t max_samples = 0;
};

// The config file's settings, or the defaults, with what the command line says instead.
config::RunConfig settings_of(const Arguments& arguments) {
  if (arguments.config.empty() && arguments.model.empty()) {
    throw core::Error(core::ErrorKind::kUsage, "nothing to evaluate", "streamo eval",
                      "give the config of a finished run, or --model DIR");
  }
  config::RunConfig config;
  if (!arguments.config.empty()) config = config::load_run_config(arguments.config, {});
  config.model.preset.clear();  // the trained weights, not new ones
  config.model.path = arguments.model.empty() ? run::RunFolder::final_model(config.checkpoint.dir)
                                              : fs::path(arguments.model);
  if (!arguments.data.empty()) config.data.eval = {arguments.data};
  if (!arguments.video_prefix.empty()) config.data.video_prefix = arguments.video_prefix;
  config.data.allow_outside_prefix |= arguments.allow_outside_prefix;
  config.eval.max_samples = arguments.max_samples;  // the config's is for those while training
  config.eval.teacher_forced |= arguments.teacher_forced;
  train::require_model_directory(config.model.path, arguments.model.empty()
                                                        ? "train first, or give --model DIR"
                                                        : "check --model");
  if (arguments.config.empty()) train::adopt_conversation_settings(config, config.model.path);
  if (config.data.eval.empty()) {
    throw core::Error(
        core::ErrorKind::kData, "no annotations to evaluate on",
        arguments.config.empty() ? "streamo eval" : arguments.config,
        arguments.config.empty() ? "give --data FILE" : "set data.eval, or give --data FILE");
  }
  return config;
}

eval::EvalReport evaluate(const config::RunConfig& config) {
  const fs::path model_dir = config.model.path;
  const auto tokenizer = text::load_tokenizer(model_dir);
  const text::ChatFormat format(*tokenizer);
  const data::SampleSource source =
      train::open_source(config, config.data.eval, model_dir, train::open_frame_cache(config));
  const auto model = train::load_model(config, {.path = model_dir}, train::available_device());
  std::unique_ptr<core::ProgressBar> bar;
  eval::EvaluateOptions options;
  options.teacher_forced = config.eval.teacher_forced;
  options.max_samples = config.eval.max_samples;
  options.context = data::session_context(config.data.context);
  options.progress = [&bar](int64_t, int64_t total) {
    if (!bar) bar = std::make_unique<core::ProgressBar>("evaluating", total);
    bar->advance();
  };
  return eval::evaluate(*model, format, source, options);
}

// Where the file goes that is asked for; empty: none is.
fs::path out_file(const Arguments& arguments) {
  if (arguments.out.empty()) return {};
  return core::output_file(arguments.out, {arguments.config, arguments.data},
                           core::holds_mark("\"response_timing\":"));
}

void print(const eval::EvalReport& report, const fs::path& out, const Arguments& arguments) {
  for (const eval::SkippedSample& sample : report.skipped) {
    core::log_warning("skipped {}: {}", sample.id, sample.reason);
  }
  if (!out.empty()) {
    core::write_file_atomic(out, core::dump_json(eval::to_json(report, true), 1) + "\n");
  }
  core::print_result("{}\n", arguments.json ? core::dump_json(eval::to_json(report, false), 2)
                                            : eval::to_table(report));
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Score a model: does it speak at the right time, and rightly");
  command->add_option("CONFIG", arguments->config,
                      "Config of a finished run: evaluates its final model on data.eval");
  command->add_option("--model", arguments->model, "Model directory instead of the run's");
  command->add_option("--data", arguments->data, "Annotation file instead of data.eval");
  command->add_option("--video-prefix", arguments->video_prefix,
                      "Folder of relative video paths (default: the annotation file's)");
  command->add_flag("--allow-outside-prefix", arguments->allow_outside_prefix,
                    "Take videos that lie outside the prefix, too");
  command->add_flag("--json", arguments->json, "Print JSON instead of a table");
  command->add_flag("--teacher-forced", arguments->teacher_forced,
                    "Each turn after the true history, not the model's own");
  command
      ->add_option("--max-samples", arguments->max_samples,
                   "At most so many samples, evenly spread (default: all)")
      ->transform(whole_number(0, kMaxCount));
  command->add_option(
      "--out", arguments->out,
      std::string("Also write a JSON file, with every turn's outcome") + core::kReplaced);
  command->callback([arguments] {
    const fs::path out = out_file(*arguments);
    print(evaluate(settings_of(*arguments)), out, *arguments);
  });
}

}  // namespace streamo::app
