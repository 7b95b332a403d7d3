// Blocks whose parameters are in parts. Truth: the same model, whole, on one rank; fp32, bit for
// bit (a sum over two ranks has one order). The ranks are threads.
#include "train/sharded_blocks.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "streamo/nn/linear.h"
#include "support/with_ranks.h"

namespace streamo::train {
namespace {

using dist::Ranks;
using torch::Tensor;

constexpr int64_t kWidth = 48;  // 48 x 48 weights: three granules, the last one short

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
  model::Part part_of(const std::string&) const override { return model::Part::kLanguage; }
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

struct Work {
  bool any = true, pictures = true;
};

// What rank `rank` has to do in micro-batch `number`: also nothing, and nothing for vision.
Work work_of(int rank, int number) {
  return {.any = !(rank == 1 && number == 1), .pictures = rank == number};
}

void compute(SmallModel& model, int rank, int number) {
  const Work work = work_of(rank, number);
  if (!work.any) return;
  torch::Generator random = at::detail::createCPUGenerator(10 * rank + number + 1);
  model::ModelInput input;
  input.position_ids = torch::randn({7, kWidth}, random);
  if (work.pictures) input.pixel_values = torch::randn({7, kWidth}, random);
  model.forward(input).square().sum().backward();
}

Tensor sum_of(const Tensor& one, const Tensor& other) {
  if (!one.defined()) return other;
  return other.defined() ? one + other : one;
}

// By micro-batch and parameter: the sum over both ranks.
std::vector<std::vector<Tensor>> true_gradients(bool recomputed, bool frozen_vision) {
  std::vector<std::vector<Tensor>> sums(2);
  for (int number = 0; number < 2; ++number) {
    for (int rank = 0; rank < 2; ++rank) {
      SmallModel model(recomputed);
      for (size_t i = 0; i < 2; ++i) {
        for (Tensor& parameter : model.layers[i]->parameters())
          parameter.requires_grad_(!frozen_vision);
      }
      compute(model, rank, number);
      auto& sum = sums[static_cast<size_t>(number)];
      size_t next = 0;
      for (const Tensor& parameter : model.parameters()) {
        if (rank == 0) sum.emplace_back();
        sum[next] = sum_of(sum[next], parameter.grad());
        ++next;
      }
    }
  }
  return sums;
}

int64_t bytes_in_blocks(const SmallModel& model) {
  int64_t bytes = 0;
  for (const auto& layer : model.layers) {
    for (const Tensor& parameter : layer->parameters())
      bytes += static_cast<int64_t>(parameter.storage().nbytes());
  }
  return bytes;
}

class ShardedBlocksOf : public testing::TestWithParam<std::pair<bool, bool>> {};

TEST_P(ShardedBlocksOf, SumsAreThoseOfWholeModels) {
  const auto [recomputed, frozen_vision] = GetParam();
  const auto expected = true_gradients(recomputed, frozen_vision);
  test::with_ranks(2, [&, recomputed = recomputed,
                       frozen_vision = frozen_vision](const std::shared_ptr<Ranks>& ranks) {
    // The seed of random weights is the process's; the ranks are threads of it.
    static std::mutex one_at_a_time;
    std::unique_ptr<SmallModel> model;
    {
      const std::lock_guard lock(one_at_a_time);
      model = std::make_unique<SmallModel>(recomputed);
    }
    for (size_t i = 0; i < 2; ++i) {
      for (Tensor& parameter : model->layers[i]->parameters())
        parameter.requires_grad_(!frozen_vision);
    }
    ShardedBlocks blocks(*ranks, dist::ShardGroups::split(ranks, 0), *model);
    EXPECT_EQ(bytes_in_blocks(*model), 0);
    for (int number = 0; number < 2; ++number) {
      compute(*model, ranks->rank(), number);
      blocks.end_micro_batch();
      EXPECT_EQ(bytes_in_blocks(*model), 0);
      size_t next = 0;
      for (const Tensor& parameter : model->parameters()) {
        const Tensor& truth = expected[static_cast<size_t>(number)][next++];
        const Tensor own = blocks.own_part(parameter);
        if (!own.defined()) continue;  // of no block
        EXPECT_FALSE(parameter.grad().defined());
        const auto [sum, on_this_rank] = blocks.take_gradient(parameter);
        if (!parameter.requires_grad()) {
          EXPECT_FALSE(sum.defined());
          continue;
        }
        ASSERT_TRUE(sum.defined());
        const int64_t begin = ranks->rank() == 0 ? 0 : parameter.numel() - own.numel();
        const Tensor expected_part = truth.defined()
                                         ? truth.view({-1}).narrow(0, begin, own.numel())
                                         : torch::zeros_like(own);
        EXPECT_TRUE(sum.equal(expected_part)) << "micro-batch " << number;
        EXPECT_TRUE(!on_this_rank || truth.defined());
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, ShardedBlocksOf,
                         testing::Values(std::pair{false, false}, std::pair{true, false},
                                         std::pair{false, true}, std::pair{true, true}));

TEST(ShardedBlocks, BecomeWholeWithTheValuesOfTheParts) {
  SmallModel truth(false), first(false), second(false);
  test::with_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
    SmallModel& model = ranks->first() ? first : second;
    const int64_t all = bytes_in_blocks(model);
    ShardedBlocks blocks(*ranks, dist::ShardGroups::split(ranks, 0), model);
    const auto expect_values = [&](double shift) {
      for (size_t i = 0; i < model.layers.size(); ++i)
        EXPECT_TRUE(model.layers[i]->weight.equal(truth.layers[i]->weight + shift)) << i;
    };
    blocks.make_whole(/*on_all_ranks=*/false);
    EXPECT_EQ(bytes_in_blocks(model), ranks->first() ? all : 0);
    if (ranks->first()) expect_values(0);
    blocks.make_parts(/*changed=*/false);
    EXPECT_EQ(bytes_in_blocks(model), 0);

    const torch::NoGradGuard no_grad;
    blocks.make_whole(/*on_all_ranks=*/true);
    for (const auto& layer : model.layers) layer->weight.add_(1);
    blocks.make_parts(/*changed=*/true);
    // A step of the optimizer works on the parts.
    for (const auto& layer : model.layers) blocks.own_part(layer->weight).add_(1);
    blocks.make_whole(/*on_all_ranks=*/true);
    for (size_t i = 0; i < model.layers.size(); ++i)
      EXPECT_TRUE(model.layers[i]->weight.equal((truth.layers[i]->weight + 1) + 1)) << i;
    blocks.make_parts(/*changed=*/false);
  });
}

}  // namespace
}  // namespace streamo::train
