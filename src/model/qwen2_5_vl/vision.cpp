#include "vision.h"

#include <algorithm>
#include <numeric>

#include "streamo/nn/attention.h"
#include "streamo/nn/recompute.h"

namespace streamo::model::qwen2_5_vl {
namespace {

using torch::Tensor;

constexpr double kNormEps = 1e-6;  // fixed in the family, whatever the config's rms_norm_eps

Tensor to_index(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kLong).to(device);
}

}  // namespace

struct VisionBlock::Attention : torch::nn::Module {
  explicit Attention(int64_t hidden)
      : qkv(register_module("qkv", std::make_shared<nn::Linear>(hidden, 3 * hidden, true))),
        proj(register_module("proj", std::make_shared<nn::Linear>(hidden, hidden, true))) {}
  std::shared_ptr<nn::Linear> qkv, proj;
};

VisionBlock::VisionBlock(const VisionConfig& config)
    : num_heads_(config.num_heads),
      norm1_(register_module("norm1", std::make_shared<nn::RmsNorm>(config.hidden_size, kNormEps))),
      norm2_(register_module("norm2", std::make_shared<nn::RmsNorm>(config.hidden_size, kNormEps))),
      attn_(register_module("attn", std::make_shared<Attention>(config.hidden_size))),
      mlp_(register_module("mlp", std::make_shared<nn::SwigluMlp>(
                                      config.hidden_size, config.intermediate_size, true))) {}

Tensor VisionBlock::forward(const Tensor& x, const nn::RotaryTable& rotary,
                            std::span<const int64_t> cu_seqlens) const {
  const auto qkv =
      attn_->qkv->forward(norm1_->forward(x)).unflatten(-1, {3, num_heads_, -1}).unbind(1);
  const Tensor q = nn::apply_rotary(qkv[0], rotary), k = nn::apply_rotary(qkv[1], rotary);
  const Tensor attended =
      attn_->proj->forward(nn::varlen_attention(q, k, qkv[2], cu_seqlens, false));
  const Tensor y = x + attended;
  return y + mlp_->forward(norm2_->forward(y));
}

PatchMerger::PatchMerger(const VisionConfig& config)
    : merged_size_(config.hidden_size * config.spatial_merge_size * config.spatial_merge_size),
      ln_q_(register_module("ln_q", std::make_shared<nn::RmsNorm>(config.hidden_size, kNormEps))),
      expand_(std::make_shared<nn::Linear>(merged_size_, merged_size_, true)),
      project_(std::make_shared<nn::Linear>(merged_size_, config.out_hidden_size, true)) {
  torch::nn::ModuleDict mlp;  // published names: mlp.0, (mlp.1 is the activation), mlp.2
  mlp->update({{"0", expand_}, {"2", project_}});
  register_module("mlp", mlp);
}

Tensor PatchMerger::forward(const Tensor& x) const {
  const Tensor merged = ln_q_->forward(x).view({-1, merged_size_});
  return project_->forward(
      at::gelu(expand_->forward(merged)));  // the exact gelu, not the tanh form
}

VisionLayout vision_layout(const VisionConfig& config, std::span<const ImageGrid> grid) {
  const int64_t merge = config.spatial_merge_size, unit = merge * merge;
  const int64_t window = config.window_size / config.patch_size / merge;  // visual tokens a side
  VisionLayout layout;
  layout.cu_pictures = layout.cu_windows = {0};
  int64_t first_token = 0;
  for (const ImageGrid& picture : grid) {
    const int64_t height = picture.h / merge, width = picture.w / merge;
    for (int64_t t = 0; t < picture.t; ++t) {
      for (int64_t i = 0; i < height * width * unit;
           ++i) {  // blocks of merge x merge patches in row order
        const int64_t token = i / unit, within = i % unit;
        layout.rows.push_back(token / width * merge + within / merge);
        layout.columns.push_back(token % width * merge + within % merge);
      }
      for (int64_t top = 0; top < height; top += window) {
        for (int64_t left = 0; left < width; left += window) {
          const int64_t bottom = std::min(top + window, height),
                        right = std::min(left + window, width);
          for (int64_t row = top; row < bottom; ++row) {
            for (int64_t column = left; column < right; ++column) {
              layout.window_order.push_back(first_token + row * width + column);
            }
          }
          layout.cu_windows.push_back(layout.cu_windows.back() +
                                      (bottom - top) * (right - left) * unit);
        }
      }
      layout.cu_pictures.push_back(layout.cu_pictures.back() + height * width * unit);
      first_token += height * width;
    }
  }
  return layout;
}

VisionTower::VisionTower(const VisionConfig& config) : config_(config) {
  const nn::PatchShape shape{config.in_channels, config.temporal_patch_size, config.patch_size};
  patch_embed_ =
      register_module("patch_embed", std::make_shared<nn::PatchEmbed>(shape, config.hidden_size));
  torch::nn::ModuleList blocks;
  for (int64_t i = 0; i < config.depth; ++i) {
    blocks_.push_back(std::make_shared<VisionBlock>(config));
    blocks->push_back(blocks_.back());
  }
  register_module("blocks", blocks);
  merger_ = register_module("merger", std::make_shared<PatchMerger>(config));
}

Tensor VisionTower::forward(const Tensor& pixel_values, std::span<const ImageGrid> grid) const {
  const VisionLayout layout = vision_layout(config_, grid);
  const int64_t unit = config_.spatial_merge_size * config_.spatial_merge_size;
  const int64_t tokens = static_cast<int64_t>(layout.window_order.size());
  const torch::Device device = pixel_values.device();
  // With pictures no larger than a window, the order is already that of the windows: nothing to
  // permute.
  const bool permuted = !std::is_sorted(layout.window_order.begin(), layout.window_order.end());
  const Tensor order = permuted ? to_index(layout.window_order, device) : Tensor();
  const auto by_window = [&](const Tensor& x) {  // x [P, ...]
    return permuted ? x.unflatten(0, {tokens, unit}).index_select(0, order).flatten(0, 1) : x;
  };

  Tensor positions =
      torch::stack({to_index(layout.rows, device), to_index(layout.columns, device)});  // [2, P]
  positions = by_window(positions.t().contiguous()).t();
  const nn::RotaryTable rotary =
      nn::vision_rotary_table(positions, config_.hidden_size / config_.num_heads);
  Tensor x = by_window(patch_embed_->forward(pixel_values));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto& full = config_.fullatt_block_indexes;
    const bool whole_picture =
        std::find(full.begin(), full.end(), static_cast<int64_t>(i)) != full.end();
    const std::vector<int64_t>& borders = whole_picture ? layout.cu_pictures : layout.cu_windows;
    const auto block = [&, i](const Tensor& input) {
      return blocks_[i]->forward(input, rotary, borders);
    };
    if (recompute_ && torch::GradMode::is_enabled()) {
      // Outlives this call: what it needs is copied.
      const auto held = [module = blocks_[i], rotary, borders](const Tensor& input) {
        return module->forward(input, rotary, borders);
      };
      x = nn::recompute(held, x, blocks_[i]->parameters());
    } else {
      x = block(x);
    }
  }
  const Tensor merged = merger_->forward(x);
  return permuted ? merged.index_select(0, order.argsort()) : merged;
}

}  // namespace streamo::model::qwen2_5_vl
