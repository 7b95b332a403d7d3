// Wires vision tower and decoder together, and holds the two places where details decide parity:
// the order of patches and the 3-D positions.
#include "model/qwen2_5_vl/model.h"

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::model::qwen2_5_vl {
namespace {

using torch::Tensor;

Tensor channel_constant(const std::array<double, 3>& values, torch::Device device) {
  std::vector<float> scaled;
  for (const double value : values) scaled.push_back(static_cast<float>(value) * 255.0F);
  return torch::tensor(scaled).view({3, 1, 1, 1}).to(device);  // [channel, time, y, x]
}

}  // namespace

Model::Model(const Config& config) : config_(config) {
  visual_ = register_module("visual", std::make_shared<VisionTower>(config.vision));
  model_ = register_module("model", std::make_shared<Decoder>(config.text));
  if (!config.text.tie_word_embeddings) {
    lm_head_ = register_module(
        "lm_head",
        std::make_shared<nn::Linear>(config.text.hidden_size, config.text.vocab_size, false));
  }
}

Tensor Model::encode_images(const Tensor& pixel_values, std::span<const ImageGrid> grid) {
  return visual_->forward(pixel_values.to(model_->embedding_weight().scalar_type()), grid);
}

Tensor Model::embed(const ModelInput& input) {
  const Tensor text = model_->embed(input.input_ids);
  if (!input.pixel_values.defined() && !input.image_features.defined()) return text;
  const Tensor places = input.input_ids.eq(config_.image_token_id).nonzero().squeeze(1);
  const Tensor features = input.image_features.defined()
                              ? input.image_features
                              : encode_images(input.pixel_values, input.image_grid);
  STREAMO_CHECK(places.size(0) == features.size(0), "as many <|image_pad|> as visual tokens");
  return text.index_copy(0, places, features.to(text.scalar_type()));
}

Tensor Model::forward(const ModelInput& input) {
  return model_->forward(embed(input), input.position_ids, input.cu_seqlens);
}

Tensor Model::forward_cached(const ModelInput& input, KvCache& cache) {
  const torch::NoGradGuard no_grad;  // not InferenceMode: its tensors would bind every caller to it
  return model_->forward_cached(embed(input), input.position_ids, cache);
}

Tensor Model::lm_head_weight() {
  return lm_head_ ? lm_head_->weight : model_->embedding_weight();
}

// A picture of h x w visual tokens that begins at position p has (p, p + row, p + column); the text
// after it goes on at p + max(h, w), and text counts in all three dimensions alike. Section 2.1.3
// of arXiv 2409.12191.
Tensor Model::position_ids(std::span<const int32_t> input_ids, std::span<const ImageGrid> grid,
                           int64_t start, int64_t* next_position) const {
  const auto length = static_cast<int64_t>(input_ids.size());
  Tensor positions = torch::empty({3, length}, torch::kLong);
  auto* temporal = positions.data_ptr<int64_t>();
  auto *row = temporal + length, *column = row + length;
  int64_t position = start;
  size_t picture = 0;
  for (int64_t i = 0; i < length;) {
    if (input_ids[static_cast<size_t>(i)] != config_.image_token_id) {
      temporal[i] = row[i] = column[i] = position++;
      ++i;
      continue;
    }
    STREAMO_CHECK(picture < grid.size(), "more <|image_pad|> than pictures");
    const int64_t height = grid[picture].h / config_.vision.spatial_merge_size;
    const int64_t width = grid[picture].w / config_.vision.spatial_merge_size;
    ++picture;
    STREAMO_CHECK(i + height * width <= length, "fewer <|image_pad|> than the picture has tokens");
    for (int64_t token = 0; token < height * width; ++token, ++i) {
      temporal[i] = position;
      row[i] = position + token / width;
      column[i] = position + token % width;
    }
    position += std::max(height, width);
  }
  if (next_position != nullptr) *next_position = position;
  return positions;
}

// Order of the patches: 2 x 2 blocks in row order, within a block its four patches; of the values
// of a patch: channel, time, row, column. The picture stands twice along time.
Tensor Model::patchify(const Tensor& pictures, std::vector<ImageGrid>* grid) const {
  const VisionConfig& vision = config_.vision;
  const int64_t side = vision.patch_size, merge = vision.spatial_merge_size;
  const int64_t count = pictures.size(0), h = pictures.size(1) / side, w = pictures.size(2) / side;
  STREAMO_CHECK(pictures.size(1) % (side * merge) == 0 && pictures.size(2) % (side * merge) == 0,
                "pictures come resized to whole visual tokens");
  const Tensor mean = channel_constant(kImageMean, pictures.device()),
               std = channel_constant(kImageStd, pictures.device());
  // Bytes are reordered before they become floats: a quarter of the memory to walk through askew.
  const Tensor bytes =
      pictures
          .view({count, h / merge, merge, side, w / merge, merge, side, vision.in_channels})
          // picture, block row, block column, row, column, channel, y, x
          .permute({0, 1, 4, 2, 5, 7, 3, 6})
          .reshape({count * h * w, vision.in_channels, 1, side, side});
  const Tensor patches = bytes.to(torch::kFloat)
                             .sub_(mean)
                             .div_(std)
                             .expand({-1, -1, vision.temporal_patch_size, -1, -1});
  grid->assign(static_cast<size_t>(count), ImageGrid{1, h, w});
  return patches.flatten(1);
}

Part Model::parameter_part(const std::string& parameter_name) const {
  if (parameter_name.starts_with("visual.merger.")) return Part::kMerger;
  if (parameter_name.starts_with("visual.")) return Part::kVision;
  const bool embedding =
      parameter_name.starts_with("model.embed_tokens.") || parameter_name.starts_with("lm_head.");
  return embedding ? Part::kEmbedding : Part::kLanguage;
}

double Model::initializer_range(const std::string& parameter_name) const {
  return parameter_name.starts_with("visual.") ? config_.vision.initializer_range
                                               : config_.text.initializer_range;
}

void Model::set_gradient_checkpointing(bool enabled) {
  visual_->set_gradient_checkpointing(enabled);
  model_->set_gradient_checkpointing(enabled);
}

std::vector<Block> Model::blocks() const {
  std::vector<Block> blocks;
  for (auto& parameters : visual_->block_parameters())
    blocks.push_back({Part::kVision, std::move(parameters)});
  for (auto& parameters : model_->block_parameters())
    blocks.push_back({Part::kLanguage, std::move(parameters)});
  return blocks;
}

void Model::set_block_hooks(nn::BlockHooks* hooks) {
  visual_->set_block_hooks(hooks);
  model_->set_block_hooks(hooks, visual_->block_parameters().size());
}

int64_t Model::pixels_per_token_side() const {
  return config_.vision.patch_size * config_.vision.spatial_merge_size;
}

}  // namespace streamo::model::qwen2_5_vl
