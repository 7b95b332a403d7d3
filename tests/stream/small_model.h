// A small randomly initialised Qwen2.5-VL, and pictures of noise.
#pragma once

#include <nlohmann/json.hpp>

#include "streamo/core/rng.h"
#include "streamo/model/hf_directory.h"
#include "streamo/text/special_tokens.h"
#include "streamo/video/sampler.h"
#include "text/tokenizer_fixture.h"

namespace streamo::stream {

inline std::shared_ptr<model::VisionLanguageModel> small_model() {
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
