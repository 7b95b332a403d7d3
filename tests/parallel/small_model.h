// A model of five blocks for tests of what is done with blocks over ranks, and work for it.
#pragma once

#include <fmt/format.h>
#include <torch/torch.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/named_parameter.h"
#include "nn/linear.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::parallel {

using torch::Tensor;

inline constexpr int64_t kWidth = 48;  // 48 x 48 weights: three granules, the last one short

// Two vision blocks for pictures and three decoder blocks, each tanh(W x + b), behind an
// embedding-like matrix of no block.
class SmallModel final : public model::VisionLanguageModel {
 public:
  explicit SmallModel(bool recomputed) : recomputed_(recomputed) {
    torch::manual_seed(1);
    embedding = register_parameter("embedding", torch::randn({kWidth, kWidth}));
    for (int i = 0; i < 5; ++i) {
      layers.push_back(register_module(fmt::format("layer{}", i),
                                       std::make_shared<nn::Linear>(kWidth, kWidth, true)));
      const torch::NoGradGuard no_grad;
      for (Tensor& parameter : layers.back()->parameters()) parameter.normal_(0, 0.2);
    }
  }

  Tensor forward(const model::ModelInput& input) override {
    Tensor x = torch::mm(input.position_ids, embedding);
    if (input.pixel_values.defined()) x = x + run(input.pixel_values, 0, 2);
    return run(x, 2, 5);
  }
  std::vector<model::Block> blocks() const override {
    std::vector<model::Block> blocks;
    for (size_t i = 0; i < layers.size(); ++i) {
      const auto part = i < 2 ? model::Part::kVision : model::Part::kLanguage;
      blocks.push_back({part, layers[i]->parameters()});
    }
    return blocks;
  }
  void set_block_hooks(nn::BlockHooks* hooks) override { hooks_ = hooks; }

  Tensor encode_images(const Tensor&, std::span<const model::ImageGrid>) override { return {}; }
  Tensor forward_cached(const model::ModelInput&, model::KvCache&) override { return {}; }
  Tensor lm_head_weight() override { return embedding; }
  Tensor position_ids(std::span<const int32_t>, std::span<const model::ImageGrid>, int64_t,
                      int64_t*) const override {
    return {};
  }
  Tensor patchify(const Tensor&, std::vector<model::ImageGrid>*) const override { return {}; }
  model::Part parameter_part(const std::string&) const override { return model::Part::kLanguage; }
  void set_gradient_checkpointing(bool) override {}
  int64_t pixels_per_token_side() const override { return 28; }
  int64_t num_layers() const override { return 3; }
  model::Flops forward_flops(const model::Workload&) const override { return {}; }
  model::Activations activations(const model::Workload&, const model::Training&) const override {
    return {};
  }
  double initializer_range(const std::string&) const override { return 0.02; }

  Tensor embedding;
  std::vector<std::shared_ptr<nn::Linear>> layers;

 private:
  Tensor run(Tensor x, size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) {
      const auto layer = layers[i];
      x = nn::run_block([layer](const Tensor& y) { return layer->forward(y).tanh(); }, x,
                        layer->parameters(), recomputed_, hooks_, i);
    }
    return x;
  }

  bool recomputed_;
  nn::BlockHooks* hooks_ = nullptr;
};

inline std::vector<model::NamedParameter> named_parameters(SmallModel& model) {
  std::vector<model::NamedParameter> parameters;
  for (const auto& item : model.named_parameters())
    parameters.push_back({.name = item.key(), .tensor = item.value()});
  return parameters;
}

struct Work {
  bool any = true, pictures = true;
};

// What rank `rank` has to do in micro-batch `number`: also nothing, and nothing for vision.
inline Work rank_work(int rank, int number) {
  return {.any = !(rank == 1 && number == 1), .pictures = rank == number};
}

inline void compute(SmallModel& model, int rank, int number) {
  const Work work = rank_work(rank, number);
  if (!work.any) return;
  torch::Generator random = at::detail::createCPUGenerator(10 * rank + number + 1);
  model::ModelInput input;
  input.position_ids = torch::randn({7, kWidth}, random);
  if (work.pictures) input.pixel_values = torch::randn({7, kWidth}, random);
  model.forward(input).square().sum().backward();
}

}  // namespace streamo::parallel
