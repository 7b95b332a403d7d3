// What a turn is to a model: its pictures, seen once, and the tokens that go into a cache.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <vector>

#include "streamo/model/vision_language_model.h"
#include "streamo/text/tokenizer.h"
#include "streamo/video/sampler.h"

namespace streamo::stream {

// The pictures of one or more turns, through the vision tower.
struct SeenPictures {
  torch::Tensor features;  // [visual tokens, H]; undefined: none
  std::vector<model::ImageGrid> grid;
  std::vector<int64_t> tokens;  // of each picture
};

// pixel_values of one picture, whose grid is appended; sides are multiples of the model's
// pixels_per_token_side() (STREAMO_CHECK).
torch::Tensor patchify_frame(const model::VisionLanguageModel& model, const video::Frame& frame,
                             torch::Device device, std::vector<model::ImageGrid>& grid);

SeenPictures look_at(model::VisionLanguageModel& model, std::span<const video::Frame> frames);

// Feeds the tokens, and the pictures of their placeholders, to the cache, whose positions go on.
// The hidden state of the last token, [1, H].
torch::Tensor feed_cache(model::VisionLanguageModel& model, model::KvCache& cache,
                         std::span<const text::TokenId> ids, const SeenPictures& pictures);

}  // namespace streamo::stream
