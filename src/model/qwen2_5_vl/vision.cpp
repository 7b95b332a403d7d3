// Sorts patches into windows and back between windowed and full-attention blocks, then merges 2 x 2
// patches into one visual token.
#include "model/qwen2_5_vl/vision.h"

#include <algorithm>
#include <numeric>

#include "nn/attention.h"
#include "streamo/nn/block_hooks.h"

namespace streamo::model::qwen2_5_vl {
namespace {

using torch::Tensor;

constexpr double kNormEps = 1e-6;  // fixed in the family, whatever the config's rms_norm_eps

Tensor to_index(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kLong).to(device);
}

using Window = std::vector<int64_t>;  // its visual tokens, in row order

// The windows of one picture, whose tokens count from `first_token`; those at the right and bottom
// border may be smaller.
void append_windows(const ImageGrid& picture, int64_t merge, int64_t side, int64_t first_token,
                    std::vector<Window>& windows) {
  const int64_t height = picture.h / merge, width = picture.w / merge;
  for (int64_t top = 0; top < height; top += side) {
    for (int64_t left = 0; left < width; left += side) {
      Window window;
      for (int64_t row = top; row < std::min(top + side, height); ++row) {
        for (int64_t column = left; column < std::min(left + side, width); ++column) {
          window.push_back(first_token + row * width + column);
        }
      }
      windows.push_back(std::move(window));
    }
  }
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
  const int64_t side = config.window_size / config.patch_size / merge;  // visual tokens
  VisionLayout layout;
  layout.cu_pictures = layout.cu_windows = {0};
  std::vector<Window> windows;
  int64_t first_token = 0;
  for (const ImageGrid& picture : grid) {
    const int64_t width = picture.w / merge, tokens = picture.h / merge * width;
    for (int64_t t = 0; t < picture.t; ++t) {
      for (int64_t i = 0; i < tokens * unit; ++i) {  // blocks of merge x merge patches in row order
        const int64_t token = i / unit, within = i % unit;
        layout.rows.push_back(token / width * merge + within / merge);
        layout.columns.push_back(token % width * merge + within % merge);
      }
      append_windows(picture, merge, side, first_token, windows);
      layout.cu_pictures.push_back(layout.cu_pictures.back() + tokens * unit);
      first_token += tokens;
    }
  }
  std::stable_sort(windows.begin(), windows.end(),
                   [](const Window& a, const Window& b) { return a.size() > b.size(); });
  for (const Window& window : windows) {
    layout.window_order.insert(layout.window_order.end(), window.begin(), window.end());
    layout.cu_windows.push_back(layout.cu_windows.back() +
                                static_cast<int64_t>(window.size()) * unit);
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

// Blocks of windows see the patches window by window, the others picture by picture; the reference
// keeps the order of windows throughout, which attention within a picture does not notice.
Tensor VisionTower::forward(const Tensor& pixel_values, std::span<const ImageGrid> grid) const {
  const VisionLayout layout = vision_layout(config_, grid);
  const int64_t unit = config_.spatial_merge_size * config_.spatial_merge_size;
  const auto tokens = static_cast<int64_t>(layout.window_order.size());
  const torch::Device device = pixel_values.device();
  // Pictures of one size that are no larger than a window: both orders are the same.
  const bool permuted = !std::is_sorted(layout.window_order.begin(), layout.window_order.end());
  const Tensor order = permuted ? to_index(layout.window_order, device) : Tensor();
  const Tensor inverse = permuted ? order.argsort() : Tensor();
  const auto select = [&](const Tensor& x, const Tensor& index) {  // x [P, ...]
    return permuted ? x.unflatten(0, {tokens, unit}).index_select(0, index).flatten(0, 1) : x;
  };

  const Tensor positions =
      torch::stack({to_index(layout.rows, device), to_index(layout.columns, device)});  // [2, P]
  const nn::RotaryTable by_picture =
      nn::vision_rotary_table(positions, config_.hidden_size / config_.num_heads);
  const nn::RotaryTable by_window = {select(by_picture.cos, order), select(by_picture.sin, order)};
  Tensor x = patch_embed_->forward(pixel_values);
  bool in_windows = false;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto& full = config_.fullatt_block_indexes;
    const bool windowed =
        std::find(full.begin(), full.end(), static_cast<int64_t>(i)) == full.end();
    if (windowed != in_windows) x = select(x, windowed ? order : inverse);
    in_windows = windowed;
    x = run_block(i, x, windowed ? by_window : by_picture,
                  windowed ? layout.cu_windows : layout.cu_pictures);
  }
  return merger_->forward(in_windows ? select(x, inverse) : x);
}

Tensor VisionTower::run_block(size_t number, const Tensor& x, const nn::RotaryTable& rotary,
                              const std::vector<int64_t>& borders) const {
  const auto& block = blocks_[number];
  // Outlives this call: what it needs is copied.
  const auto held = [block, rotary, borders](const Tensor& input) {
    return block->forward(input, rotary, borders);
  };
  return nn::run_block(held, x, block->parameters(), recompute_, hooks_, number);
}

std::vector<std::vector<Tensor>> VisionTower::block_parameters() const {
  std::vector<std::vector<Tensor>> parameters;
  for (const auto& block : blocks_) parameters.push_back(block->parameters());
  return parameters;
}

}  // namespace streamo::model::qwen2_5_vl
