#include "model_setup.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "streamo/checkpoint/snapshot.h"
#include "streamo/core/error.h"
#include "streamo/core/file.h"
#include "streamo/core/log.h"
#include "streamo/core/parallel.h"
#include "streamo/model/hf_directory.h"
#include "streamo/text/special_tokens.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConversationFile = "streamo.json";
constexpr size_t kMaxTokenizerSamples = 20'000;  // more text does not change a small vocabulary

data::SourceOptions source_options(const RunConfig& config) {
  data::SourceOptions options;
  options.format = config.data.format;
  options.video_prefix = config.data.video_prefix;
  options.frame_memory_bytes = config.data.frame_memory_mb << 20;
  options.resize =
      config.data.resize == "exact" ? video::ResizeMode::kExact : video::ResizeMode::kFast;
  options.conversation.fps = config.data.fps;
  options.conversation.system_prompt =
      config.data.system_prompt.empty() ? data::default_system_prompt() : config.data.system_prompt;
  options.conversation.default_question = config.data.default_question.empty()
                                              ? data::default_question()
                                              : config.data.default_question;
  return options;
}

void train_preset_tokenizer(const RunConfig& config, const data::SampleSource& source,
                            const fs::path& model_dir) {
  const size_t count = std::min(source.size(), kMaxTokenizerSamples);
  std::vector<std::vector<std::string>> texts_of(count);
  std::vector<std::string> reasons(count);
  core::parallel_for(count, static_cast<int>(config.data.num_workers), [&](size_t i) {
    // Spread evenly: several files in a row may have texts of their own.
    const size_t sample = i * source.size() / count;
    const auto conversation = source.conversation(sample);
    if (!conversation) {  // the index lists it as skipped
      reasons[i] = source.id(sample) + ": " + conversation.reason();
      return;
    }
    for (const text::Message& message : conversation->messages) {
      for (std::string& piece : text::text_pieces(message)) {
        texts_of[i].push_back(std::move(piece));
      }
    }
  });
  std::vector<std::string> texts;
  for (std::vector<std::string>& of_sample : texts_of) {
    std::move(of_sample.begin(), of_sample.end(), std::back_inserter(texts));
  }
  if (texts.empty()) {
    throw core::Error(core::ErrorKind::kData, "no sample can be used", reasons.front(),
                      "check data.train and data.video_prefix");
  }
  text::train_tokenizer(texts, static_cast<int>(config.model.vocab_size), model_dir);
}

model::PresetTokens preset_tokens(const text::Tokenizer& tokenizer) {
  return {.vocab_size = tokenizer.vocab_size(),
          .image_token_id = tokenizer.special_id(text::kImagePad),
          .video_token_id = tokenizer.special_id(text::kVideoPad),
          .vision_start_token_id = tokenizer.special_id(text::kVisionStart),
          .vision_end_token_id = tokenizer.special_id(text::kVisionEnd),
          .eos_token_id = tokenizer.special_id(text::kImEnd),
          .pad_token_id = tokenizer.special_id(text::kEndOfText)};
}

}  // namespace

fs::path prepare_model_directory(const RunConfig& config, const fs::path& run_dir,
                                 const data::SampleSource& source) {
  if (config.model.preset.empty()) {
    if (!fs::is_directory(config.model.path)) {
      throw core::Error(core::ErrorKind::kModel, "no such model directory", config.model.path,
                        "set model.path to a folder with config.json and *.safetensors");
    }
    return config.model.path;
  }
  const fs::path model_dir = run_dir / "base";
  // Until there is a checkpoint nothing depends on it, and an earlier start that failed may have
  // had other settings or other data.
  const bool begun = !checkpoint::SnapshotStore(run_dir, model_dir, 1).list().empty();
  if (!begun || !fs::exists(model_dir)) {
    core::write_directory_atomic(model_dir, [&](const fs::path& folder) {
      train_preset_tokenizer(config, source, folder);
      const auto tokenizer = text::load_tokenizer(folder);
      model::write_preset(config.model.preset, preset_tokens(*tokenizer), folder);
    });
  }
  return model_dir;
}

std::shared_ptr<model::VisionLanguageModel> load_model(const RunConfig& config,
                                                       const fs::path& model_dir,
                                                       torch::Device device) {
  auto model = model::build_model(model_dir / "config.json");
  if (config.model.preset.empty()) {
    model::load_weights(*model, model_dir);
  } else {
    model::initialize_weights(*model, static_cast<uint64_t>(config.train.seed));
  }
  model->to(device, config.model.dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32);
  model->set_gradient_checkpointing(config.model.gradient_checkpointing);
  for (auto& item : model->named_parameters()) {
    const model::Part part = model->part_of(item.key());
    const bool frozen = part == model::Part::kVision   ? config.model.freeze_vision
                        : part == model::Part::kMerger ? config.model.freeze_merger
                                                       : config.model.freeze_language;
    item.value().set_requires_grad(!frozen);
  }
  return model;
}

video::PixelLimits pixel_limits(const RunConfig& config, const fs::path& model_dir) {
  video::PixelLimits limits;
  const fs::path processor = model_dir / "preprocessor_config.json";
  if (!model_dir.empty() && fs::exists(processor)) {
    const auto json =
        nlohmann::json::parse(core::read_file(processor), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
      throw core::Error(core::ErrorKind::kModel, "not readable JSON", processor.string());
    limits.min_pixels = json.value("min_pixels", limits.min_pixels);
    limits.max_pixels = json.value("max_pixels", limits.max_pixels);
  }
  if (config.data.min_pixels > 0) limits.min_pixels = config.data.min_pixels;
  if (config.data.max_pixels > 0) limits.max_pixels = config.data.max_pixels;
  return limits;
}

data::SampleSource open_source(const RunConfig& config, const std::vector<std::string>& files,
                               const fs::path& model_dir) {
  data::SourceOptions options = source_options(config);
  options.pixel_limits = pixel_limits(config, model_dir);
  return {{files.begin(), files.end()}, std::move(options)};
}

std::map<std::string, std::string> conversation_settings(const RunConfig& config) {
  const data::ConversationOptions conversation = source_options(config).conversation;
  const nlohmann::ordered_json settings = {{"system_prompt", conversation.system_prompt},
                                           {"default_question", conversation.default_question},
                                           {"fps", conversation.fps},
                                           {"min_pixels", config.data.min_pixels},
                                           {"max_pixels", config.data.max_pixels},
                                           {"resize", config.data.resize}};
  return {{kConversationFile, settings.dump(2) + "\n"}};
}

void adopt_conversation_settings(RunConfig& config, const fs::path& model_dir) {
  const fs::path path = model_dir / kConversationFile;
  if (!fs::exists(path)) return;
  try {
    const auto settings = nlohmann::json::parse(core::read_file(path));
    config.data.system_prompt = settings.at("system_prompt");
    config.data.default_question = settings.at("default_question");
    config.data.fps = settings.at("fps");
    config.data.min_pixels = settings.at("min_pixels");
    config.data.max_pixels = settings.at("max_pixels");
    config.data.resize = settings.value("resize", "fast");  // not in older files
    if (config.data.resize != "fast" && config.data.resize != "exact") {
      throw core::Error(core::ErrorKind::kModel, "\"resize\" is neither fast nor exact",
                        path.string(), "correct it");
    }
  } catch (const nlohmann::json::exception& error) {
    throw core::Error(core::ErrorKind::kModel, error.what(), path.string(),
                      "remove the file to evaluate with the default settings");
  }
}

std::vector<NamedParameter> named_parameters(const RunConfig& config,
                                             model::VisionLanguageModel& model) {
  std::vector<NamedParameter> parameters;
  for (const auto& item : model.named_parameters()) {
    const model::Part part = model.part_of(item.key());
    const bool sees = part == model::Part::kVision || part == model::Part::kMerger;
    const bool own_rate = sees && config.optim.vision_lr > 0;
    parameters.push_back(
        {item.key(), item.value(), own_rate ? config.optim.vision_lr / config.optim.lr : 1.0});
  }
  return parameters;
}

}  // namespace streamo::train
