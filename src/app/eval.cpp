// streamo eval CONFIG|--model DIR: plays annotated videos to a model and scores what it says, when.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/number_option.h"
#include "config/options.h"
#include "config/run_config.h"
#include "core/io/file.h"
#include "core/io/output.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/print.h"
#include "eval/evaluator.h"
#include "model/hf_directory.h"
#include "run/run_folder.h"
#include "stream/source_options.h"
#include "streamo/core/error.h"
#include "streamo/stream/model_bundle.h"

namespace streamo::app {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string config, model, data, video_prefix, out;
  bool json = false, teacher_forced = false, allow_outside_prefix = false;
  int64_t max_samples = 0;
};

// What is evaluated, and how.
struct Evaluation {
  fs::path model_dir;
  stream::InferenceSettings settings;
  torch::ScalarType dtype = torch::kFloat32;
  bool teacher_forced = false;
  std::unique_ptr<const data::SampleSource> source;  // which cannot be moved
};

// As the config of the run says, or the command line instead.
Evaluation evaluation_of_run(const Arguments& arguments) {
  config::RunConfig config = config::load_run_config(arguments.config, {});
  const fs::path model_dir = arguments.model.empty()
                                 ? run::RunFolder::final_model(config.checkpoint.dir)
                                 : fs::path(arguments.model);
  model::require_model_directory(
      model_dir, arguments.model.empty() ? "train first, or give --model DIR" : "check --model");
  if (!arguments.data.empty()) config.data.eval = {arguments.data};
  if (!arguments.video_prefix.empty()) config.data.video_prefix = arguments.video_prefix;
  config.data.allow_outside_prefix |= arguments.allow_outside_prefix;
  if (config.data.eval.empty()) {
    throw core::Error(core::ErrorKind::kData, "no annotations to evaluate on", arguments.config,
                      "set data.eval, or give --data FILE");
  }
  return {.model_dir = model_dir,
          .settings = config::inference_settings(config),
          .dtype = config::weight_dtype(config),
          .teacher_forced = config.eval.teacher_forced || arguments.teacher_forced,
          .source =
              std::unique_ptr<const data::SampleSource>(new data::SampleSource(config::open_source(
                  config, config.data.eval, model_dir, config::open_frame_cache(config))))};
}

// As the model was trained.
Evaluation evaluation_of_model(const Arguments& arguments) {
  const fs::path model_dir = arguments.model;
  model::require_model_directory(model_dir, "check --model");
  const auto settings = stream::InferenceSettings::read(model_dir);
  if (arguments.data.empty()) {
    throw core::Error(core::ErrorKind::kData, "no annotations to evaluate on", "streamo eval",
                      "give --data FILE");
  }
  data::SourceOptions options =
      stream::source_options(settings, *settings.sample_options(model_dir).pixel_limits);
  options.video_prefix = arguments.video_prefix;
  options.allow_outside_prefix = arguments.allow_outside_prefix;
  return {.model_dir = model_dir,
          .settings = settings,
          .teacher_forced = arguments.teacher_forced,
          .source = std::make_unique<const data::SampleSource>(
              std::vector<fs::path>{arguments.data}, std::move(options))};
}

eval::EvalReport evaluate(const Arguments& arguments) {
  if (arguments.config.empty() && arguments.model.empty()) {
    throw core::Error(core::ErrorKind::kUsage, "nothing to evaluate", "streamo eval",
                      "give the config of a finished run, or --model DIR");
  }
  const Evaluation evaluation =
      arguments.config.empty() ? evaluation_of_model(arguments) : evaluation_of_run(arguments);
  const auto bundle = stream::ModelBundle::open(evaluation.model_dir, evaluation.settings,
                                                model::available_device(), evaluation.dtype);
  std::unique_ptr<core::ProgressBar> bar;
  eval::EvaluateOptions options;
  options.teacher_forced = evaluation.teacher_forced;
  options.max_samples = arguments.max_samples;  // the config's is for those while training
  options.context = bundle.session_options().context;
  options.progress = [&bar](int64_t, int64_t total) {
    if (!bar) bar = std::make_unique<core::ProgressBar>("evaluating", total);
    bar->advance();
  };
  return eval::evaluate(*bundle.model, bundle.format, *evaluation.source, options);
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
    print(evaluate(*arguments), out, *arguments);
  });
}

}  // namespace streamo::app
