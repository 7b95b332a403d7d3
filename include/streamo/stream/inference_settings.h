// What a model was trained to see, kept beside its weights so that it is used as it was trained:
// what it is told and asked, how many turns a second of video has, how large a picture is, and how
// many turns it looks back on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "streamo/data/context_window.h"
#include "streamo/video/sampler.h"

namespace streamo::stream {

// streamo.json of a model directory. This is its only reader and its only writer.
struct InferenceSettings {
  InferenceSettings();  // of a model that comes without the file

  std::string system_prompt, default_question;  // never empty: the built-in ones
  double fps = 1.0;                             // turns a second of video
  // Height times width of a resized frame; 0: as the image processor's file of the model says.
  int64_t min_pixels = 0, max_pixels = 0;
  video::ResizeMode resize = video::ResizeMode::kFast;
  // As in training, where no limit of rounds may have been set; data::session_context() makes of
  // it what a session can keep up without end.
  data::ContextRule context = {};

  // The defaults where the directory has no such file. Throws core::Error{kModel} for a damaged
  // one.
  static InferenceSettings read(const std::filesystem::path& model_dir);
  // Name and content of that file, as model::save_model_directory() takes files to write besides.
  std::map<std::string, std::string> files() const;

  // How videos are sampled for the model in `model_dir`. Throws core::Error{kModel} when the file
  // of its image processor is damaged.
  video::SampleOptions sample_options(const std::filesystem::path& model_dir) const;
};

}  // namespace streamo::stream
