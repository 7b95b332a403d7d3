// Qwen2.5-VL (arXiv 2502.13923): the vision tower's tokens stand in the decoder's sequence for
// <|image_pad|>.
#pragma once

#include <memory>

#include "model/qwen2_5_vl/activations.h"
#include "model/qwen2_5_vl/config.h"
#include "model/qwen2_5_vl/flops.h"
#include "model/qwen2_5_vl/text.h"
#include "model/qwen2_5_vl/vision.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::model::qwen2_5_vl {

// Registered under the names of the published files: visual.*, model.*, lm_head.weight.
class Model : public VisionLanguageModel {
 public:
  explicit Model(const Config& config);

  torch::Tensor encode_images(const torch::Tensor& pixel_values,
                              std::span<const ImageGrid> grid) override;
  torch::Tensor forward(const ModelInput& input) override;
  torch::Tensor forward_cached(const ModelInput& input, KvCache& cache) override;
  torch::Tensor lm_head_weight() override;

  torch::Tensor position_ids(std::span<const int32_t> input_ids, std::span<const ImageGrid> grid,
                             int64_t start, int64_t* next_position) const override;
  torch::Tensor patchify(const torch::Tensor& pictures,
                         std::vector<ImageGrid>* grid) const override;

  Part parameter_part(const std::string& parameter_name) const override;
  void set_gradient_checkpointing(bool enabled) override;
  std::vector<Block> blocks() const override;
  void set_block_hooks(nn::BlockHooks* hooks) override;
  int64_t pixels_per_token_side() const override;
  int64_t num_layers() const override { return config_.text.num_hidden_layers; }
  Flops forward_flops(const Workload& work) const override {
    return qwen2_5_vl::forward_flops(config_, work);
  }
  Activations activations(const Workload& work, const Training& training) const override {
    return qwen2_5_vl::activations(config_, work, training);
  }
  double initializer_range(const std::string& parameter_name) const override;
  std::string size_key(const std::string& parameter_name, int64_t side) const override {
    return config_key(parameter_name, side);
  }

 private:
  torch::Tensor embed(const ModelInput& input);

  Config config_;
  std::shared_ptr<VisionTower> visual_;
  std::shared_ptr<Decoder> model_;
  std::shared_ptr<nn::Linear> lm_head_;  // null when tied
};

}  // namespace streamo::model::qwen2_5_vl
