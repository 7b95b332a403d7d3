// Each module gets its own options, so that none of them needs to know the config.
#include "config/options.h"

#include "model/hf_directory.h"
#include "stream/source_options.h"
#include "video/worker/decode_in_processes.h"

namespace streamo::config {

namespace fs = std::filesystem;

stream::InferenceSettings inference_settings(const RunConfig& config) {
  stream::InferenceSettings settings;
  if (!config.data.system_prompt.empty()) settings.system_prompt = config.data.system_prompt;
  if (!config.data.default_question.empty())
    settings.default_question = config.data.default_question;
  settings.fps = config.data.fps;
  settings.min_pixels = config.data.min_pixels;
  settings.max_pixels = config.data.max_pixels;
  settings.resize = video::parse_resize(config.data.resize);
  settings.context = config.data.context;
  return settings;
}

torch::ScalarType weight_dtype(const RunConfig& config) {
  return config.model.dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
}

video::PixelLimits pixel_limits(const RunConfig& config, const fs::path& model_dir) {
  return stream::pixel_limits(inference_settings(config), model_dir.empty()
                                                              ? model::PictureLimits()
                                                              : model::picture_limits(model_dir));
}

video::PixelLimits pixel_limits_to_be(const RunConfig& config) {
  if (config.model.preset.empty()) return pixel_limits(config, config.model.path);
  return stream::pixel_limits(inference_settings(config),
                              model::preset_picture_limits(config.model.preset));
}

std::shared_ptr<video::FrameCache> open_frame_cache(const RunConfig& config) {
  if (config.data.frame_cache.empty()) return nullptr;
  return std::make_shared<video::FrameCache>(video::FrameCacheOptions{
      .folder = config.data.frame_cache,
      .max_bytes = static_cast<int64_t>(config.data.frame_cache_max_gb * 1e9),
      .jpeg_quality = static_cast<int>(config.data.frame_cache_quality)});
}

data::SampleSource open_source(const RunConfig& config, const std::vector<std::string>& files,
                               const fs::path& model_dir,
                               std::shared_ptr<video::FrameCache> frame_cache) {
  const bool apart = config.data.decoder == "process";
  video::decode_in_processes(apart ? video::decoder_program() : fs::path());
  data::SourceOptions options =
      stream::source_options(inference_settings(config), pixel_limits(config, model_dir));
  options.format = config.data.format;
  options.video_prefix = config.data.video_prefix;
  options.allow_outside_prefix = config.data.allow_outside_prefix;
  options.decode_timeout = config.data.decode_timeout;
  options.frame_memory_bytes = config.data.frame_memory_mb << 20;
  options.frame_cache = std::move(frame_cache);
  return {{files.begin(), files.end()}, std::move(options)};
}

data::IndexOptions index_options(const RunConfig& config, int64_t token_side) {
  return {.max_length = config.data.max_length,
          .overlong = data::parse_overlong(config.data.overlong),
          .context = config.data.context,
          .token_side = token_side,
          .num_workers = static_cast<int>(config.data.num_workers)};
}

data::PlanOptions plan_options(const RunConfig& config, int rank, int world_size) {
  return {.seed = static_cast<uint64_t>(config.data.seed),
          .packing = config.data.packing,
          .max_length = config.data.max_length,
          .micro_batch_size = config.train.micro_batch_size,
          .grad_accum_steps = config.train.grad_accum_steps,
          .epochs = config.train.epochs,
          .max_steps = config.train.max_steps,
          .rank = rank,
          .world_size = world_size,
          .fixed_order = config.train.deterministic,
          .in_rounds = config.parallel.shards_blocks(world_size)};
}

}  // namespace streamo::config
