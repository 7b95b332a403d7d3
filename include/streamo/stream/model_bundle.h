// A trained model with all that is needed to use it as it was trained:
//
//     const ModelBundle bundle = ModelBundle::open("runs/example/final");
//     auto video = video::FrameSampler::open("clip.mp4", bundle.sample_options());
//     Session session(*bundle.model, bundle.format, bundle.session_options());
//     session.begin(bundle.settings.system_prompt);
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <memory>

#include "streamo/model/device.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/stream/inference_settings.h"
#include "streamo/stream/session.h"
#include "streamo/text/chat_format.h"
#include "streamo/text/tokenizer.h"
#include "streamo/video/sampler.h"

namespace streamo::stream {

struct ModelBundle {
  std::filesystem::path directory;
  InferenceSettings settings;
  std::unique_ptr<const text::Tokenizer> tokenizer;
  text::ChatFormat format;  // refers to the tokenizer
  std::shared_ptr<model::VisionLanguageModel> model;

  // Reads a model directory: the folder that training, `streamo export` or Hugging Face leaves.
  // Weights are converted to `dtype` on `device`. Throws core::Error{kModel} naming what is
  // missing, damaged, or does not belong together.
  static ModelBundle open(const std::filesystem::path& directory,
                          torch::Device device = model::available_device(),
                          torch::ScalarType dtype = torch::kFloat32);
  // The same with settings other than the directory's own.
  static ModelBundle open(const std::filesystem::path& directory, InferenceSettings settings,
                          torch::Device device = model::available_device(),
                          torch::ScalarType dtype = torch::kFloat32);

  video::SampleOptions sample_options() const { return settings.sample_options(directory); }
  // Turns a second and context as in training, all else as SessionOptions has it.
  SessionOptions session_options() const;
};

}  // namespace streamo::stream
