#include "train/model_setup.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "model/new_tokens.h"
#include "streamo/core/error.h"
#include "streamo/model/hf_directory.h"
#include "streamo/text/chat_format.h"
#include "streamo/text/special_tokens.h"
#include "video/worker/decode_in_processes.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;

data::SourceOptions source_options(const config::RunConfig& config) {
  data::SourceOptions options;
  options.format = config.data.format;
  options.video_prefix = config.data.video_prefix;
  options.allow_outside_prefix = config.data.allow_outside_prefix;
  options.decode_timeout = config.data.decode_timeout;
  options.frame_memory_bytes = config.data.frame_memory_mb << 20;
  options.resize = video::parse_resize(config.data.resize);
  options.conversation.fps = config.data.fps;
  options.conversation.system_prompt =
      config.data.system_prompt.empty() ? data::default_system_prompt() : config.data.system_prompt;
  options.conversation.default_question = config.data.default_question.empty()
                                              ? data::default_question()
                                              : config.data.default_question;
  return options;
}

// The config's own come first, then the model's.
video::PixelLimits limits_of(const config::RunConfig::Data& config,
                             const model::PictureLimits& model) {
  video::PixelLimits limits;
  limits.min_pixels = model.least.value_or(limits.min_pixels);
  limits.max_pixels = model.most.value_or(limits.max_pixels);
  if (config.min_pixels > 0) limits.min_pixels = config.min_pixels;
  if (config.max_pixels > 0) limits.max_pixels = config.max_pixels;
  return limits;
}

}  // namespace

torch::Device available_device(int local_rank) {
  if (!torch::cuda::is_available()) return torch::kCPU;
  const auto devices = static_cast<int>(torch::cuda::device_count());
  if (local_rank >= devices) {
    throw core::Error(core::ErrorKind::kUsage, "there are fewer GPUs than processes",
                      fmt::format("local rank {} of {} GPUs", local_rank, devices),
                      "start as many processes as there are GPUs on each machine");
  }
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(local_rank)};
}

bool is_frozen(const config::RunConfig::Model& config, model::Part part) {
  return part == model::Part::kVision     ? config.freeze_vision
         : part == model::Part::kMerger   ? config.freeze_merger
         : part == model::Part::kLanguage ? config.freeze_language
                                          : false;
}

std::shared_ptr<model::VisionLanguageModel> load_model(const config::RunConfig& config,
                                                       const ModelDirectory& directory,
                                                       torch::Device device,
                                                       const fs::path& resume_from) {
  const auto dtype = config.model.dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
  std::shared_ptr<model::VisionLanguageModel> model;
  if (!resume_from.empty()) {
    model = model::build_model(resume_from / "config.json");
    model::load_weights(*model, resume_from, dtype, device);
  } else if (config.model.preset.empty()) {
    const fs::path weights = config.model.path;
    model = model::build_model(weights / "config.json");
    model::load_weights(*model, weights, dtype, device);
    model::add_token_rows(*model, directory.new_token_ids, directory.known_tokens);
  } else {
    model = model::build_model(directory.path / "config.json");
    model::initialize_weights(*model, static_cast<uint64_t>(config.train.seed));
    model->to(device, dtype);
  }
  model->set_gradient_checkpointing(config.model.gradient_checkpointing);
  for (auto& item : model->named_parameters())
    item.value().set_requires_grad(!is_frozen(config.model, model->part_of(item.key())));
  return model;
}

video::PixelLimits pixel_limits(const config::RunConfig& config, const fs::path& model_dir) {
  return limits_of(config.data,
                   model_dir.empty() ? model::PictureLimits() : model::picture_limits(model_dir));
}

video::PixelLimits pixel_limits_to_be(const config::RunConfig& config) {
  if (config.model.preset.empty()) return pixel_limits(config, config.model.path);
  return limits_of(config.data, model::preset_picture_limits(config.model.preset));
}

std::shared_ptr<video::FrameCache> open_frame_cache(const config::RunConfig& config) {
  if (config.data.frame_cache.empty()) return nullptr;
  return std::make_shared<video::FrameCache>(video::FrameCacheOptions{
      .folder = config.data.frame_cache,
      .max_bytes = static_cast<int64_t>(config.data.frame_cache_max_gb * 1e9),
      .jpeg_quality = static_cast<int>(config.data.frame_cache_quality)});
}

video::SampleOptions sample_options(const config::RunConfig& config, const fs::path& model_dir) {
  return {.fps = config.data.fps,
          .pixel_limits = pixel_limits(config, model_dir),
          .resize = video::parse_resize(config.data.resize)};
}

std::string system_prompt(const config::RunConfig& config) {
  return source_options(config).conversation.system_prompt;
}

data::SampleSource open_source(const config::RunConfig& config,
                               const std::vector<std::string>& files, const fs::path& model_dir,
                               std::shared_ptr<video::FrameCache> frame_cache) {
  const bool apart = config.data.decoder == "process";
  video::decode_in_processes(apart ? video::decoder_program() : fs::path());
  data::SourceOptions options = source_options(config);
  options.pixel_limits = pixel_limits(config, model_dir);
  options.frame_cache = std::move(frame_cache);
  return {{files.begin(), files.end()}, std::move(options)};
}

data::IndexOptions index_options(const config::RunConfig& config, int64_t token_side) {
  return {.max_length = config.data.max_length,
          .overlong = data::parse_overlong(config.data.overlong),
          .context = config.data.context,
          .token_side = token_side,
          .num_workers = static_cast<int>(config.data.num_workers)};
}

data::PlanOptions plan_options(const config::RunConfig& config, int rank, int world_size) {
  return {.seed = static_cast<uint64_t>(config.data.seed),
          .packing = config.data.packing,
          .max_length = config.data.max_length,
          .micro_batch_size = config.train.micro_batch_size,
          .grad_accum_steps = config.train.grad_accum_steps,
          .epochs = config.train.epochs,
          .max_steps = config.train.max_steps,
          .rank = rank,
          .world_size = world_size,
          .in_order = config.train.deterministic,
          .in_rounds = config.parallel.shards_blocks(world_size)};
}

std::map<std::string, std::string> conversation_settings(const config::RunConfig& config) {
  const data::ConversationOptions conversation = source_options(config).conversation;
  nlohmann::ordered_json settings = {{"system_prompt", conversation.system_prompt},
                                     {"default_question", conversation.default_question},
                                     {"fps", conversation.fps},
                                     {"min_pixels", config.data.min_pixels},
                                     {"max_pixels", config.data.max_pixels},
                                     {"resize", config.data.resize}};
  const data::ContextRule& context = config.data.context;
  if (context.max_rounds > 0) {
    settings["window_rounds"] = context.max_rounds;
    settings["window_overlap"] = context.overlap_rounds;
    settings["window_sinks"] = context.sink_rounds;
  }
  return {{kConversationFile, core::dump_json(settings, 2) + "\n"}};
}

void adopt_conversation_settings(config::RunConfig& config, const fs::path& model_dir) {
  const fs::path path = model_dir / kConversationFile;
  if (!fs::exists(path)) return;
  const char* const hint = "remove the file to evaluate with the default settings";
  const auto settings = core::require_json_object(path, core::ErrorKind::kModel, hint);
  config.data.context = {};  // not in every file, and "resize" not in older ones
  config.data.resize = "fast";
  core::ConfigSchema schema = config::schema_of(config);
  try {
    config.data.system_prompt = settings.at("system_prompt");
    config.data.default_question = settings.at("default_question");
    for (const char* key : {"fps", "min_pixels", "max_pixels", "resize", "window_rounds",
                            "window_overlap", "window_sinks"}) {
      if (!settings.contains(key)) continue;
      schema.apply_overrides({fmt::format("data.{}={}", key, core::dump_json(settings[key]))});
    }
    data::check_context(config.data.context, path.string());
  } catch (const std::exception& error) {  // of the JSON library, or of the schema
    throw core::Error(core::ErrorKind::kModel, error.what(), path.string(), hint);
  }
  text::require_plain_text(config.data.system_prompt, core::ErrorKind::kModel,
                           path.string() + ", system_prompt", text::States::kNamed);
  text::require_plain_text(config.data.default_question, core::ErrorKind::kModel,
                           path.string() + ", default_question");
}

std::vector<optim::NamedParameter> named_parameters(const config::RunConfig& config,
                                                    model::VisionLanguageModel& model,
                                                    const text::SpecialTokens& special) {
  const torch::Device device = model.lm_head_weight().device();
  const std::vector<int64_t> states(special.states.begin(), special.states.end());
  std::vector<optim::NamedParameter> parameters;
  for (const auto& item : model.named_parameters()) {
    const model::Part part = model.part_of(item.key());
    const bool sees = part == model::Part::kVision || part == model::Part::kMerger;
    optim::NamedParameter parameter{.name = item.key(), .tensor = item.value()};
    if (sees && config.optim.vision_lr > 0)
      parameter.lr_scale = config.optim.vision_lr / config.optim.lr;
    if (part == model::Part::kEmbedding && config.model.freeze_language)
      parameter.rows = torch::tensor(states, torch::kLong).to(device);
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

optim::AdamWConfig adamw_config(const config::RunConfig::Optim& optim) {
  return {.beta1 = optim.betas[0],
          .beta2 = optim.betas[1],
          .eps = optim.eps,
          .weight_decay = optim.weight_decay,
          .decay = optim.decay};
}

}  // namespace streamo::train
