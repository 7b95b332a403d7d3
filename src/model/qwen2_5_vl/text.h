// The decoder: grouped-query attention with 3-D rotary positions, RMSNorm, SwiGLU.
//
// L tokens, H hidden size, N query heads, K key/value heads, D channels a head.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <span>
#include <vector>

#include "model/qwen2_5_vl/config.h"
#include "nn/linear.h"
#include "nn/rms_norm.h"
#include "nn/rotary.h"
#include "nn/swiglu.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::model::qwen2_5_vl {

class DecoderLayer : public torch::nn::Module {
 public:
  explicit DecoderLayer(const TextConfig& config);
  // x [L, H] of packed samples -> [L, H].
  torch::Tensor forward(const torch::Tensor& x, const nn::RotaryTable& rotary,
                        std::span<const int64_t> cu_seqlens) const;
  // x [M, H]: the tokens that follow the `held` ones of keys and values [1, K, capacity, D], into
  // which theirs are written. The result is of the last `wanted` of them.
  torch::Tensor forward_cached(const torch::Tensor& x, const nn::RotaryTable& rotary,
                               torch::Tensor& keys, torch::Tensor& values, int64_t held,
                               int64_t wanted) const;

 private:
  struct Attention;
  struct Qkv {
    torch::Tensor q, k, v;  // [L, N or K, D], q and k rotated
  };
  Qkv project(const torch::Tensor& x, const nn::RotaryTable& rotary) const;
  torch::Tensor finish(const torch::Tensor& x, const torch::Tensor& attended) const;

  int64_t head_dim_;
  std::shared_ptr<Attention> self_attn_;
  std::shared_ptr<nn::SwigluMlp> mlp_;
  std::shared_ptr<nn::RmsNorm> input_layernorm_, post_attention_layernorm_;
};

struct Embedding : torch::nn::Module {
  Embedding(int64_t vocab_size, int64_t hidden_size);
  torch::Tensor weight;  // [vocabulary, H]
};

class Decoder : public torch::nn::Module {
 public:
  explicit Decoder(const TextConfig& config);

  torch::Tensor embed(const torch::Tensor& input_ids) const;  // [L] -> [L, H]
  torch::Tensor forward(torch::Tensor x, const torch::Tensor& position_ids,
                        std::span<const int64_t> cu_seqlens) const;
  torch::Tensor forward_cached(torch::Tensor x, const torch::Tensor& position_ids,
                               KvCache& cache) const;

  const torch::Tensor& embedding_weight() const { return embed_tokens_->weight; }
  void set_gradient_checkpointing(bool enabled) { recompute_ = enabled; }
  std::vector<std::vector<torch::Tensor>> block_parameters() const;
  // Its layers are the blocks from number `first` on.
  void set_block_hooks(nn::BlockHooks* hooks, size_t first) {
    hooks_ = hooks;
    first_block_ = first;
  }

 private:
  nn::RotaryTable rotary(const torch::Tensor& x, const torch::Tensor& position_ids) const;
  void reserve(KvCache& cache, int64_t length, const torch::Tensor& like) const;

  TextConfig config_;
  bool recompute_ = false;
  nn::BlockHooks* hooks_ = nullptr;
  size_t first_block_ = 0;
  std::shared_ptr<Embedding> embed_tokens_;
  std::vector<std::shared_ptr<DecoderLayer>> layers_;
  std::shared_ptr<nn::RmsNorm> norm_;
};

}  // namespace streamo::model::qwen2_5_vl
