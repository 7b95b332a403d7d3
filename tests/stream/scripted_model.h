// A model that says what a test wants, and remembers what it was fed.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"

namespace streamo::stream {

// The hidden state is one-hot in the vocabulary and the head the identity times kConfidence, so the
// token that `next` names has the largest logit. Pictures: one patch grid of 2 x 2 a visual token.
class ScriptedModel final : public model::VisionLanguageModel {
 public:
  using Held = std::vector<text::TokenId>;
  static constexpr float kConfidence = 2.0f;

  // next: everything held -> the token that should follow.
  ScriptedModel(int64_t vocab_size, std::function<text::TokenId(const Held&)> next)
      : vocab_size_(vocab_size), next_(std::move(next)) {}

  torch::Tensor forward_cached(const model::ModelInput& input, model::KvCache& cache) override {
    if (cache.keys.empty()) cache.keys.push_back(torch::zeros({4096}, torch::kInt64));
    const int64_t count = input.input_ids.numel();
    STREAMO_CHECK(input.position_ids.size(1) == count, "a position for each token");
    STREAMO_CHECK(input.position_ids[0][0].item<int64_t>() == cache.length, "positions go on");
    cache.keys[0].slice(0, cache.length, cache.length + count).copy_(input.input_ids);
    cache.length += count;
    const auto ids = cache.keys[0].slice(0, 0, cache.length).to(torch::kInt32).contiguous();
    const Held held(ids.data_ptr<int32_t>(), ids.data_ptr<int32_t>() + cache.length);
    const torch::Tensor hidden_state = torch::zeros({1, vocab_size_});
    hidden_state[0][next_(held)] = 1;
    const std::lock_guard lock(mutex_);
    held_ = held;
    ++forwards_;
    if (input.image_features.defined())
      pixel_means_.push_back(input.image_features.mean().item<float>());
    return hidden_state;
  }
  torch::Tensor lm_head_weight() override { return torch::eye(vocab_size_) * kConfidence; }
  torch::Tensor position_ids(std::span<const int32_t> input_ids, std::span<const model::ImageGrid>,
                             int64_t start, int64_t* next_position) const override {
    const auto count = static_cast<int64_t>(input_ids.size());
    if (next_position != nullptr) *next_position = start + count;
    return torch::arange(start, start + count).expand({3, count});
  }
  torch::Tensor patchify(const torch::Tensor& pictures,
                         std::vector<model::ImageGrid>* grid) const override {
    const int64_t h = pictures.size(1) / 14, w = pictures.size(2) / 14;
    grid->assign(static_cast<size_t>(pictures.size(0)), {1, h, w});
    return pictures.to(torch::kFloat).mean().expand({pictures.size(0) * h * w, 1176});
  }
  int64_t pixels_per_token_side() const override { return 28; }

  torch::Tensor encode_images(const torch::Tensor& pixel_values,
                              std::span<const model::ImageGrid>) override {
    return pixel_values;
  }

  // What a session has no business with.
  torch::Tensor forward(const model::ModelInput&) override { unscripted(); }
  model::Part parameter_part(const std::string&) const override { unscripted(); }
  model::Flops forward_flops(const model::Workload&) const override { unscripted(); }
  model::Activations activations(const model::Workload&, const model::Training&) const override {
    unscripted();
  }
  std::vector<model::Block> blocks() const override { return {}; }
  void set_block_hooks(nn::BlockHooks* /*hooks*/) override {}
  void set_gradient_checkpointing(bool) override {}
  int64_t num_layers() const override { return 1; }
  double initializer_range(const std::string&) const override { return 0.02; }

  const Held& held() const { return held_; }  // at the last call
  int64_t forwards() const { return forwards_; }
  const std::vector<float>& pixel_means() const { return pixel_means_; }  // of each call's pictures

 private:
  [[noreturn]] static void unscripted() {
    throw core::Error(core::ErrorKind::kInternal, "the test calls what is not scripted");
  }

  int64_t vocab_size_;
  std::function<text::TokenId(const Held&)> next_;
  std::mutex mutex_;
  Held held_;
  int64_t forwards_ = 0;
  std::vector<float> pixel_means_;
};

// What the assistant says in each turn, as tokens with their <|im_end|>.
using Script = std::vector<std::vector<text::TokenId>>;

inline Script make_script(const text::ChatFormat& format, const std::vector<std::string>& answers) {
  Script script;
  for (const std::string& answer : answers) {
    script.push_back(format.tokenizer().encode(answer));
    script.back().push_back(format.special().im_end);
  }
  return script;
}

// For ScriptedModel: the token of `script` that follows what is held. Keeps references.
inline std::function<text::TokenId(const ScriptedModel::Held&)> follow(
    const text::ChatFormat& format, const Script& script) {
  return [prompt = format.assistant_prompt(), &script](const ScriptedModel::Held& held) {
    size_t turns = 0, said_from = 0;  // assistant prompts held, and the end of the last one
    for (size_t i = 0; i + prompt.size() <= held.size(); ++i) {
      const auto here = held.begin() + static_cast<std::ptrdiff_t>(i);
      if (!std::equal(prompt.begin(), prompt.end(), here)) continue;
      ++turns;
      said_from = i + prompt.size();
    }
    return script.at(turns - 1).at(held.size() - said_from);
  };
}

}  // namespace streamo::stream
