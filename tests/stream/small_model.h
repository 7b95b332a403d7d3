// A small randomly initialised Qwen2.5-VL, and pictures of noise.
#pragma once

#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/rng.h"
#include "model/hf_directory.h"
#include "streamo/text/special_tokens.h"
#include "streamo/video/sampler.h"
#include "text/tokenizer_fixture.h"

namespace streamo::stream {

// `wide_heads`: of 64 channels, as those of real models, for which there are kernels of our own.
inline std::shared_ptr<model::VisionLanguageModel> small_model(bool wide_heads = false) {
  const text::Tokenizer& tokenizer = text::small_tokenizer();
  const std::filesystem::path directory = text::tokenizer_directory() / "model";
  model::write_preset("example",
                      {.vocab_size = tokenizer.vocab_size(),
                       .image_token_id = tokenizer.special_id(text::kImagePad),
                       .video_token_id = tokenizer.special_id(text::kVideoPad),
                       .vision_start_token_id = tokenizer.special_id(text::kVisionStart),
                       .vision_end_token_id = tokenizer.special_id(text::kVisionEnd),
                       .eos_token_id = tokenizer.special_id(text::kImEnd),
                       .pad_token_id = tokenizer.special_id(text::kEndOfText)},
                      directory);
  if (wide_heads) {
    const std::filesystem::path path = directory / "config.json";
    auto config = nlohmann::ordered_json::parse(core::read_file(path));
    config["num_attention_heads"] = 2;
    config["num_key_value_heads"] = 1;
    config["rope_scaling"]["mrope_section"] = {8, 12, 12};
    core::write_file_atomic(path, config.dump());
  }
  auto model = model::build_model(directory / "config.json");
  model::initialize_weights(*model, 3);
  return model;
}

inline video::Frame random_frame(uint64_t seed, int height, int width) {
  core::Rng rng{seed};
  video::Frame frame;
  frame.size = {height, width};
  frame.rgb.resize(static_cast<size_t>(height) * width * 3);
  for (uint8_t& value : frame.rgb) value = static_cast<uint8_t>(rng.integer(0, 255));
  return frame;
}

}  // namespace streamo::stream
