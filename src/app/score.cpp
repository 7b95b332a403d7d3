// streamo score: all numbers a model computes of one sample, for comparison with another
// implementation.
#include "compare/score.h"

#include <memory>

#include "app/command.h"
#include "app/number_option.h"
#include "config/options.h"
#include "core/io/output.h"
#include "core/log.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"

namespace streamo::app {
namespace {

struct Arguments {
  std::string model, data, video_prefix, dtype = "float32", out;
  std::vector<std::string> overrides;
  compare::ScoreOptions options;
};

config::RunConfig load_settings(const Arguments& arguments) {
  config::RunConfig config;
  config::make_schema(config).apply_overrides(arguments.overrides);
  config.model.path = arguments.model;
  config.model.dtype = arguments.dtype;
  if (!arguments.video_prefix.empty()) config.data.video_prefix = arguments.video_prefix;
  model::require_model_directory(config.model.path, "check --model");
  return config;
}

void run(const Arguments& arguments) {
  constexpr const char* kProducer = "streamo score";
  const std::filesystem::path out =
      core::output_file(arguments.out, {arguments.data}, core::holds_mark(kProducer));
  const config::RunConfig config = load_settings(arguments);
  const data::SampleSource source =
      config::open_source(config, {arguments.data}, config.model.path);
  const auto tensors = compare::score(config, source, arguments.options);
  model::write_safetensors(out, tensors, {{"format", "pt"}, {"producer", kProducer}});
  core::log_info("{}: {} tokens, loss {:.6f}, written to {}",
                 source.id(static_cast<size_t>(arguments.options.index)),
                 tensors.at("input_ids").size(0), tensors.at("loss").item<double>(), arguments.out);
}

}  // namespace

void add_score_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "score", "Write what a model computes of one sample, to compare it with another program");
  command->add_option("--model", arguments->model, "Model directory")->required();
  command->add_option("--data", arguments->data, "Annotation file, stream format or raw")
      ->required();
  command->add_option("--video-prefix", arguments->video_prefix,
                      "Folder of relative video paths (default: the annotation file's)");
  command->add_option("--index", arguments->options.index, "Which sample")
      ->transform(whole_number(0, kMaxCount))
      ->capture_default_str();
  command->add_option("--dtype", arguments->dtype, "Type of weights and activations")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command->add_flag("--gradients", arguments->options.gradients, "Also all gradients");
  command->add_option("--steps", arguments->options.steps, "Also the parameters after N updates")
      ->transform(whole_number(0, kMaxCount));
  command
      ->add_option("--generate", arguments->options.generate,
                   "Also N tokens chosen greedily after the conversation")
      ->transform(whole_number(0, kMaxCount));
  command
      ->add_option("--out", arguments->out,
                   std::string("The safetensors file to write") + core::kReplaced)
      ->required();
  command->add_option("OVERRIDES", arguments->overrides,
                      "key=value, as in optim.lr=1e-3 or data.max_pixels=50176");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace streamo::app
