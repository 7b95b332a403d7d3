// A small randomly initialised Qwen2.5-VL with the tests' tokenizer, and pictures for it.
#pragma once

#include <memory>

#include "streamo/core/rng.h"
#include "streamo/model/hf_directory.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/video/sampler.h"
#include "text/tokenizer_fixture.h"

namespace streamo::eval {

inline std::shared_ptr<model::VisionLanguageModel> small_model() {
  const text::Tokenizer& tokenizer = text::small_tokenizer();
  const std::filesystem::path directory = text::tokenizer_directory() / "bench-model";
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

inline video::Frame random_frame(uint64_t seed, int height = 56, int width = 56) {
  core::Rng rng{seed};
  video::Frame frame;
  frame.time = static_cast<double>(seed);
  frame.size = {height, width};
  frame.rgb.resize(static_cast<size_t>(height) * width * 3);
  for (uint8_t& value : frame.rgb) value = static_cast<uint8_t>(rng.integer(0, 255));
  return frame;
}

}  // namespace streamo::eval
