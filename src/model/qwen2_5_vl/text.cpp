// The decoder with and without a key-value cache, and the sparse gradient path of a tied embedding.
#include "model/qwen2_5_vl/text.h"

#include <algorithm>

#include "nn/attention.h"
#include "streamo/nn/block_hooks.h"

namespace streamo::model::qwen2_5_vl {
namespace {

using torch::Tensor;

constexpr int64_t kFirstCapacity = 512;  // tokens; doubled when full

}  // namespace

struct DecoderLayer::Attention : torch::nn::Module {
  explicit Attention(const TextConfig& config) {
    const int64_t hidden = config.hidden_size, kv = config.num_key_value_heads * config.head_dim();
    q_proj = register_module("q_proj", std::make_shared<nn::Linear>(hidden, hidden, true));
    k_proj = register_module("k_proj", std::make_shared<nn::Linear>(hidden, kv, true));
    v_proj = register_module("v_proj", std::make_shared<nn::Linear>(hidden, kv, true));
    o_proj = register_module("o_proj", std::make_shared<nn::Linear>(hidden, hidden, false));
  }
  std::shared_ptr<nn::Linear> q_proj, k_proj, v_proj, o_proj;
};

DecoderLayer::DecoderLayer(const TextConfig& config)
    : head_dim_(config.head_dim()),
      self_attn_(register_module("self_attn", std::make_shared<Attention>(config))),
      mlp_(register_module("mlp", std::make_shared<nn::SwigluMlp>(
                                      config.hidden_size, config.intermediate_size, false))),
      input_layernorm_(
          register_module("input_layernorm",
                          std::make_shared<nn::RmsNorm>(config.hidden_size, config.rms_norm_eps))),
      post_attention_layernorm_(register_module(
          "post_attention_layernorm",
          std::make_shared<nn::RmsNorm>(config.hidden_size, config.rms_norm_eps))) {}

DecoderLayer::Qkv DecoderLayer::project(const Tensor& x, const nn::RotaryTable& rotary) const {
  const Tensor normed = input_layernorm_->forward(x);
  const auto heads = [&](const nn::Linear& linear) {
    return linear.forward(normed).unflatten(-1, {-1, head_dim_});
  };
  return {nn::apply_rotary(heads(*self_attn_->q_proj), rotary),
          nn::apply_rotary(heads(*self_attn_->k_proj), rotary), heads(*self_attn_->v_proj)};
}

Tensor DecoderLayer::finish(const Tensor& x, const Tensor& attended) const {
  const Tensor y = x + self_attn_->o_proj->forward(attended);
  return y + mlp_->forward(post_attention_layernorm_->forward(y));
}

Tensor DecoderLayer::forward(const Tensor& x, const nn::RotaryTable& rotary,
                             std::span<const int64_t> cu_seqlens) const {
  const Qkv qkv = project(x, rotary);
  return finish(x, nn::varlen_attention(qkv.q, qkv.k, qkv.v, cu_seqlens, true));
}

Tensor DecoderLayer::forward_cached(const Tensor& x, const nn::RotaryTable& rotary, Tensor& keys,
                                    Tensor& values, int64_t held, int64_t wanted) const {
  const Qkv qkv = project(x, rotary);
  const int64_t length = held + x.size(0);
  keys.slice(2, held, length).copy_(qkv.k.transpose(0, 1).unsqueeze(0));
  values.slice(2, held, length).copy_(qkv.v.transpose(0, 1).unsqueeze(0));
  return finish(x.slice(0, -wanted),
                nn::cached_attention(qkv.q.slice(0, -wanted), keys.slice(2, 0, length),
                                     values.slice(2, 0, length)));
}

Embedding::Embedding(int64_t vocab_size, int64_t hidden_size)
    : weight(register_parameter("weight", torch::empty({vocab_size, hidden_size}))) {}

Decoder::Decoder(const TextConfig& config) : config_(config) {
  embed_tokens_ = register_module(
      "embed_tokens", std::make_shared<Embedding>(config.vocab_size, config.hidden_size));
  torch::nn::ModuleList layers;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.push_back(std::make_shared<DecoderLayer>(config));
    layers->push_back(layers_.back());
  }
  register_module("layers", layers);
  norm_ = register_module("norm",
                          std::make_shared<nn::RmsNorm>(config.hidden_size, config.rms_norm_eps));
}

Tensor Decoder::embed(const Tensor& input_ids) const {
  const auto look_up = [&](const Tensor& weight, bool sparse) {
    return at::embedding(weight, input_ids, /*padding_idx=*/-1, /*scale_grad_by_freq=*/false,
                         sparse);
  };
  const Tensor weight = embed_tokens_->weight;
  if (!config_.tie_word_embeddings || !weight.requires_grad()) return look_up(weight, false);
  // Tied: the gradient of the rows that occur meets the head's, which is dense. Autograd would add
  // the two in a third tensor, the largest of the step; so the rows go by a leaf of their own, and
  // from there into the head's gradient, which is complete by then: the embedding comes last.
  const Tensor leaf = weight.detach().requires_grad_();
  leaf.register_hook([weight](const Tensor& rows) {
    const torch::NoGradGuard no_grad;
    Tensor& gradient = weight.mutable_grad();
    if (!gradient.defined()) {  // the head takes no part in the loss
      const auto type = weight.grad_dtype().value_or(weight.scalar_type());
      gradient = torch::zeros_like(weight, weight.options().dtype(type));
    }
    gradient.add_(rows);
  });
  return look_up(leaf, true);
}

nn::RotaryTable Decoder::rotary(const Tensor& x, const Tensor& position_ids) const {
  return nn::text_rotary_table(position_ids, config_.head_dim(), config_.rope_theta,
                               config_.mrope_section, x.scalar_type());
}

Tensor Decoder::forward(Tensor x, const Tensor& position_ids,
                        std::span<const int64_t> cu_seqlens) const {
  const nn::RotaryTable table = rotary(x, position_ids);
  const std::vector<int64_t> borders(cu_seqlens.begin(), cu_seqlens.end());
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto held = [layer, table, borders](const Tensor& input) {
      return layer->forward(input, table, borders);
    };
    x = nn::run_block(held, x, layer->parameters(), recompute_, hooks_, first_block_ + i);
  }
  return norm_->forward(x);
}

std::vector<std::vector<Tensor>> Decoder::block_parameters() const {
  std::vector<std::vector<Tensor>> parameters;
  for (const auto& layer : layers_) parameters.push_back(layer->parameters());
  return parameters;
}

void Decoder::reserve(KvCache& cache, int64_t length, const Tensor& like) const {
  const int64_t capacity = cache.keys.empty() ? 0 : cache.keys[0].size(2);
  if (length <= capacity) return;
  int64_t larger = std::max(capacity, kFirstCapacity);
  while (larger < length) larger *= 2;
  const auto grown = [&](const Tensor& old) {
    Tensor tensor =
        at::empty({1, config_.num_key_value_heads, larger, config_.head_dim()}, like.options());
    if (old.defined()) tensor.slice(2, 0, cache.length).copy_(old.slice(2, 0, cache.length));
    return tensor;
  };
  cache.keys.resize(layers_.size());
  cache.values.resize(layers_.size());
  for (Tensor& keys : cache.keys) keys = grown(keys);
  for (Tensor& values : cache.values) values = grown(values);
}

Tensor Decoder::forward_cached(Tensor x, const Tensor& position_ids, KvCache& cache) const {
  const nn::RotaryTable table = rotary(x, position_ids);
  const int64_t new_tokens = x.size(0);
  reserve(cache, cache.length + new_tokens, x);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int64_t wanted = i + 1 < layers_.size() ? new_tokens : 1;
    x = layers_[i]->forward_cached(x, table, cache.keys[i], cache.values[i], cache.length, wanted);
  }
  cache.length += new_tokens;
  return norm_->forward(x);
}

}  // namespace streamo::model::qwen2_5_vl
