// Frames to patches to visual tokens, and token ids with 3-D positions into the key-value cache.
#include "stream/feed_cache.h"

#include <algorithm>

#include "data/samples/training_example.h"
#include "streamo/core/error.h"

namespace streamo::stream {

using torch::Tensor;

Tensor patchify_frame(const model::VisionLanguageModel& model, const video::Frame& frame,
                      torch::Device device, std::vector<model::ImageGrid>& grid) {
  const int64_t side = model.pixels_per_token_side();
  STREAMO_CHECK(frame.size.height % side == 0 && frame.size.width % side == 0,
                "pictures come in whole visual tokens");
  const Tensor picture = torch::empty({1, frame.size.height, frame.size.width, 3}, torch::kUInt8);
  std::copy(frame.rgb.begin(), frame.rgb.end(), picture.data_ptr<uint8_t>());
  std::vector<model::ImageGrid> own;
  Tensor patches = model.patchify(picture.to(device), &own);
  grid.insert(grid.end(), own.begin(), own.end());
  return patches;
}

SeenPictures look_at(model::VisionLanguageModel& model, std::span<const video::Frame> frames) {
  SeenPictures seen;
  if (frames.empty()) return seen;
  const torch::Device device = model.lm_head_weight().device();
  const int64_t side = model.pixels_per_token_side();
  std::vector<Tensor> patches;
  for (const video::Frame& frame : frames) {
    patches.push_back(patchify_frame(model, frame, device, seen.grid));
    seen.tokens.push_back(data::image_tokens(frame.size, side));
  }
  seen.features = model.encode_images(torch::cat(patches), seen.grid);
  return seen;
}

Tensor feed_cache(model::VisionLanguageModel& model, model::KvCache& cache,
                  std::span<const text::TokenId> ids, const SeenPictures& pictures) {
  const torch::Device device = model.lm_head_weight().device();
  const std::vector<int64_t> wide(ids.begin(), ids.end());
  int64_t next_position = 0;
  model::ModelInput input;
  input.input_ids = torch::tensor(wide, torch::kInt64).to(device);
  input.position_ids =
      model.position_ids(ids, pictures.grid, cache.next_position, &next_position).to(device);
  input.cu_seqlens = {0, static_cast<int64_t>(ids.size())};
  input.image_features = pictures.features;
  input.image_grid = pictures.grid;
  const Tensor hidden_state = model.forward_cached(input, cache);
  cache.next_position = next_position;
  return hidden_state;
}

}  // namespace streamo::stream
