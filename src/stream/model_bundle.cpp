// Reads a model directory into memory, what is refused soonest first.
#include "streamo/stream/model_bundle.h"

#include "model/hf_directory.h"

namespace streamo::stream {

ModelBundle ModelBundle::open(const std::filesystem::path& directory, torch::Device device,
                              torch::ScalarType dtype) {
  model::require_model_directory(directory,
                                 "give a trained model's directory, such as runs/example/final");
  return open(directory, InferenceSettings::read(directory), device, dtype);
}

ModelBundle ModelBundle::open(const std::filesystem::path& directory, InferenceSettings settings,
                              torch::Device device, torch::ScalarType dtype) {
  std::unique_ptr<const text::Tokenizer> tokenizer = text::load_tokenizer(directory);
  const text::ChatFormat format(*tokenizer);  // a wrong tokenizer is told before weights are read
  auto model = model::build_model(directory / "config.json");
  model::load_weights(*model, directory, dtype, device);
  return {directory, std::move(settings), std::move(tokenizer), format, std::move(model)};
}

SessionOptions ModelBundle::session_options() const {
  return {.context = data::session_context(settings.context), .fps = settings.fps};
}

}  // namespace streamo::stream
