// streamo inspect PATH: shows the content of a file or folder as text. For an annotation file, the
// exact turns and labels that a sample becomes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/number_option.h"
#include "app/sound_checkpoint.h"
#include "checkpoint/snapshot.h"
#include "core/io/file.h"
#include "core/print.h"
#include "data/samples/sample_source.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"
#include "streamo/core/error.h"
#include "streamo/video/sampler.h"

namespace streamo::app {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string path, video_prefix;
  size_t index = 0;
  bool allow_outside_prefix = false;
};

void print_safetensors(const fs::path& path) {
  const model::SafetensorsFile file(path);
  int64_t values = 0;
  for (const std::string& name : file.names()) {
    const model::TensorEntry& tensor = *file.find(name);
    values += tensor.elements();
    core::print_result("{:60} {:10} {}\n", name, model::dtype_name(tensor.dtype),
                       nlohmann::json(tensor.shape).dump());
  }
  core::print_result("{} tensors, {} values\n", file.entries().size(), values);
}

void print_model_directory(const fs::path& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    core::print_result("{:40} {:>12} bytes\n", entry.path().filename().string(),
                       entry.is_regular_file() ? entry.file_size() : 0);
  }
  if (is_checkpoint(path)) {
    require_sound_checkpoint(path);
    core::print_result("checkpoint: complete, all checksums right\n");
  }
  auto model = model::build_model(path / "config.json");
  int64_t parameters = 0;
  for (const auto& [name, tensor] : model::named_weights(*model)) parameters += tensor.numel();
  core::print_result("{} parameters in {} decoder layers\n", parameters, model->num_layers());
  if (model::has_weights(path)) {  // a preset's base directory has none
    const model::WeightSummary weights = model::check_weights(*model, path);
    core::print_result("weights: {} bytes of {} in {} file(s), complete and as config.json asks\n",
                       weights.bytes, fmt::join(weights.dtypes, ", "), weights.files);
  }
}

void print_annotations(const fs::path& path, const Arguments& arguments) {
  const size_t index = arguments.index;
  data::SourceOptions options;
  options.video_prefix = arguments.video_prefix;
  options.allow_outside_prefix = arguments.allow_outside_prefix;
  options.conversation.system_prompt = data::default_system_prompt();
  options.conversation.default_question = data::default_question();
  const data::SampleSource source({path}, options);
  core::print_result("{} samples; sample {}:\n", source.size(), index);
  if (index >= source.size()) {
    throw core::Error(core::ErrorKind::kUsage, fmt::format("there is no sample {}", index),
                      path.string(), fmt::format("--index takes 0 to {}", source.size() - 1));
  }
  const auto conversation = source.conversation(index);
  if (!conversation)
    throw core::Error(core::ErrorKind::kData, conversation.reason(), source.id(index));
  core::print_result("video {}\n", conversation->video_path);
  for (const text::Message& message : conversation->messages)
    core::print_result("[{}] {}\n", message.role, message.content);
}

void inspect(const Arguments& arguments) {
  const fs::path path = arguments.path;
  if (!fs::exists(path)) {
    throw core::Error(core::ErrorKind::kUsage, "no such file or folder", path.string(),
                      "check the path");
  }
  if (fs::is_directory(path)) return print_model_directory(path);
  const std::string extension = path.extension().string();
  if (extension == ".safetensors") return print_safetensors(path);
  if (extension == ".json" || extension == ".jsonl") return print_annotations(path, arguments);
  const auto info = video::probe(path, {});
  if (!info) throw core::Error(core::ErrorKind::kData, info.reason());
  core::print_result(
      "{}x{}, {:.3f} s from {:.3f} s, about {:.3f} frames/s, {} samples at 1 a second\n",
      info->size.width, info->size.height, info->duration, info->start, info->frame_rate,
      info->num_samples);
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "inspect",
      "Show what an annotation file, video, model directory, checkpoint or safetensors file holds");
  command->add_option("PATH", arguments->path, "File or folder")->required();
  command->add_option("--index", arguments->index, "Sample of an annotation file")
      ->transform(whole_number(0, kMaxCount));
  command->add_option("--video-prefix", arguments->video_prefix,
                      "Folder of relative video paths (default: the annotation file's)");
  command->add_flag("--allow-outside-prefix", arguments->allow_outside_prefix,
                    "Take videos that lie outside the prefix, too");
  command->callback([arguments] { inspect(*arguments); });
}

}  // namespace streamo::app
