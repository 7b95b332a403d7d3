// streamo.json: read, checked and written.
#include "streamo/stream/inference_settings.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/json/config_schema.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "data/samples/conversation.h"
#include "stream/setting_ranges.h"
#include "stream/source_options.h"
#include "streamo/core/error.h"
#include "streamo/text/chat_format.h"

namespace streamo::stream {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "streamo.json";
constexpr const char* kFast = "fast";
constexpr const char* kExact = "exact";

// The numbers, and `resize` by its name. Keys are those of a run's config, where each is explained.
core::ConfigSchema make_schema(InferenceSettings& settings, std::string& resize) {
  core::ConfigSchema schema;
  schema.add("data.fps", &settings.fps, "", fps_range());
  schema.add("data.min_pixels", &settings.min_pixels, "", pixel_limit_range());
  schema.add("data.max_pixels", &settings.max_pixels, "", pixel_limit_range());
  schema.add("data.resize", &resize, "", resize_choices());
  schema.add("data.window_rounds", &settings.context.max_rounds, "", round_count_range());
  schema.add("data.window_overlap", &settings.context.overlap_rounds, "", round_count_range());
  schema.add("data.window_sinks", &settings.context.sink_rounds, "", round_count_range());
  return schema;
}

// Older files lack `resize`, and the windows stand only where training had some.
void take_numbers(const nlohmann::json& json, InferenceSettings& settings) {
  std::string resize = kFast;
  core::ConfigSchema schema = make_schema(settings, resize);
  for (const std::string& key : schema.keys()) {
    const std::string name = key.substr(key.find('.') + 1);
    if (json.contains(name))
      schema.apply_overrides({fmt::format("{}={}", key, core::dump_json(json[name]))});
  }
  settings.resize = video::parse_resize(resize);
}

}  // namespace

InferenceSettings::InferenceSettings()
    : system_prompt(data::default_system_prompt()), default_question(data::default_question()) {}

InferenceSettings InferenceSettings::read(const fs::path& model_dir) {
  InferenceSettings settings;
  const fs::path path = model_dir / kFileName;
  if (!fs::exists(path)) return settings;
  const char* const hint = "remove the file to evaluate with the default settings";
  const auto json = core::require_json_object(path, core::ErrorKind::kModel, hint);
  std::string prompt, question;
  try {
    prompt = json.at("system_prompt");
    question = json.at("default_question");
    take_numbers(json, settings);
    data::check_context(settings.context, path.string());
  } catch (const std::exception& error) {  // of the JSON library, or of the schema
    throw core::Error(core::ErrorKind::kModel, error.what(), path.string(), hint);
  }
  text::require_plain_text(prompt, core::ErrorKind::kModel, path.string() + ", system_prompt",
                           text::States::kNamed);
  text::require_plain_text(question, core::ErrorKind::kModel, path.string() + ", default_question");
  if (!prompt.empty()) settings.system_prompt = std::move(prompt);
  if (!question.empty()) settings.default_question = std::move(question);
  return settings;
}

std::map<std::string, std::string> InferenceSettings::files() const {
  nlohmann::ordered_json json = {
      {"system_prompt", system_prompt},
      {"default_question", default_question},
      {"fps", fps},
      {"min_pixels", min_pixels},
      {"max_pixels", max_pixels},
      {"resize", resize == video::ResizeMode::kExact ? kExact : kFast},
  };
  if (context.max_rounds > 0) {
    json["window_rounds"] = context.max_rounds;
    json["window_overlap"] = context.overlap_rounds;
    json["window_sinks"] = context.sink_rounds;
  }
  return {{kFileName, core::dump_json(json, 2) + "\n"}};
}

video::SampleOptions InferenceSettings::sample_options(const fs::path& model_dir) const {
  return {.fps = fps,
          .pixel_limits = pixel_limits(*this, model::picture_limits(model_dir)),
          .resize = resize};
}

video::PixelLimits pixel_limits(const InferenceSettings& settings,
                                const model::PictureLimits& processor) {
  video::PixelLimits limits;
  limits.min_pixels = processor.least.value_or(limits.min_pixels);
  limits.max_pixels = processor.most.value_or(limits.max_pixels);
  if (settings.min_pixels > 0) limits.min_pixels = settings.min_pixels;
  if (settings.max_pixels > 0) limits.max_pixels = settings.max_pixels;
  return limits;
}

data::SourceOptions source_options(const InferenceSettings& settings,
                                   const video::PixelLimits& limits) {
  data::SourceOptions options;
  options.conversation = {.fps = settings.fps,
                          .system_prompt = settings.system_prompt,
                          .default_question = settings.default_question};
  options.pixel_limits = limits;
  options.resize = settings.resize;
  return options;
}

}  // namespace streamo::stream
