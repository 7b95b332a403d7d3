// The vision tower: patches -> visual tokens. Most blocks attend within windows of 112 x 112
// pixels, a few within the whole picture. Qwen2.5-VL technical report, arXiv 2502.13923,
// section 2.1.
//
// P patches, V = P / 4 visual tokens, C channels of the tower, H hidden size of the decoder.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <span>
#include <vector>

#include "model/qwen2_5_vl/config.h"
#include "nn/linear.h"
#include "nn/patch_embed.h"
#include "nn/rms_norm.h"
#include "nn/rotary.h"
#include "nn/swiglu.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::model::qwen2_5_vl {

class VisionBlock : public torch::nn::Module {
 public:
  explicit VisionBlock(const VisionConfig& config);
  // x [P, C] -> [P, C]; attention stays between neighbouring borders.
  torch::Tensor forward(const torch::Tensor& x, const nn::RotaryTable& rotary,
                        std::span<const int64_t> cu_seqlens) const;

 private:
  struct Attention;
  int64_t num_heads_;
  std::shared_ptr<nn::RmsNorm> norm1_, norm2_;
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<nn::SwigluMlp> mlp_;
};

// 2 x 2 patches -> one visual token of the decoder's size.
class PatchMerger : public torch::nn::Module {
 public:
  explicit PatchMerger(const VisionConfig& config);
  torch::Tensor forward(const torch::Tensor& x) const;  // [P, C] -> [V, H]

 private:
  int64_t merged_size_;
  std::shared_ptr<nn::RmsNorm> ln_q_;
  std::shared_ptr<nn::Linear> expand_, project_;
};

// Where the patches of a batch of pictures stand and who attends to whom; host integers.
struct VisionLayout {
  std::vector<int64_t> rows, columns;  // [P] of each patch, in the order of the input
  // [V] visual tokens (groups of 4 patches) window by window. Windows of one length are neighbours,
  // for varlen_attention: a batch of real pictures has thousands of windows, but few lengths.
  std::vector<int64_t> window_order;
  std::vector<int64_t> cu_pictures, cu_windows;  // borders in patches
};
VisionLayout vision_layout(const VisionConfig& config, std::span<const ImageGrid> grid);

class VisionTower : public torch::nn::Module {
 public:
  explicit VisionTower(const VisionConfig& config);
  // [P, channels * 2 * 14 * 14] -> [V, H], in the order of the input.
  torch::Tensor forward(const torch::Tensor& pixel_values, std::span<const ImageGrid> grid) const;
  void set_gradient_checkpointing(bool enabled) { recompute_ = enabled; }
  std::vector<std::vector<torch::Tensor>> block_parameters() const;
  void set_block_hooks(nn::BlockHooks* hooks) { hooks_ = hooks; }

 private:
  torch::Tensor run_block(size_t number, const torch::Tensor& x, const nn::RotaryTable& rotary,
                          const std::vector<int64_t>& borders) const;

  VisionConfig config_;
  bool recompute_ = false;
  nn::BlockHooks* hooks_ = nullptr;
  std::shared_ptr<nn::PatchEmbed> patch_embed_;
  std::vector<std::shared_ptr<VisionBlock>> blocks_;
  std::shared_ptr<PatchMerger> merger_;
};

}  // namespace streamo::model::qwen2_5_vl
