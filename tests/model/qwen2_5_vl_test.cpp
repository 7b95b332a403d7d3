// Properties the model must have whatever its weights: packing, caching and recomputation change
// nothing. fp32, CPU, golden weights; 1e-4 of the largest magnitude where the order of sums
// differs.

#include <nlohmann/json.hpp>

#include "model/golden.h"

namespace streamo::model {
namespace {

using torch::Tensor;

class Qwen25Vl : public testing::Test {
 protected:
  // Of the last token of each piece.
  static Tensor at_ends(const Tensor& hidden_states, const std::vector<int64_t>& lengths) {
    std::vector<Tensor> rows;
    int64_t end = 0;
    for (const int64_t length : lengths) rows.push_back(hidden_states[(end += length) - 1]);
    return at::stack(rows);
  }
  // Hidden states at_ends() of `input` fed to a cache in pieces of the given lengths. Pictures go
  // in with the piece that holds their placeholders, which must hold all of them.
  Tensor in_pieces(const ModelInput& input, const std::vector<int64_t>& lengths, KvCache& cache) {
    std::vector<Tensor> outputs;
    int64_t begin = 0, patch = 0;
    size_t picture = 0;
    for (const int64_t length : lengths) {
      ModelInput piece{input.input_ids.slice(0, begin, begin + length),
                       input.position_ids.slice(1, begin, begin + length),
                       {0, length},
                       {},
                       {}};
      const int64_t pads = piece.input_ids.eq(60).sum().item<int64_t>();
      int64_t patches = 0;
      while (patches / 4 < pads) {
        piece.image_grid.push_back(input.image_grid[picture++]);
        patches += piece.image_grid.back().patches();
      }
      if (patches > 0) piece.pixel_values = input.pixel_values.slice(0, patch, patch + patches);
      patch += patches;
      begin += length;
      outputs.push_back(model_->forward_cached(piece, cache));
    }
    EXPECT_EQ(cache.length, begin);
    return at::cat(outputs);
  }

  std::map<std::string, Tensor> gradients(bool checkpointing) {
    model_->set_gradient_checkpointing(checkpointing);
    model_->zero_grad();
    at::cross_entropy_loss(logits(*model_, golden_.input()), golden_["targets"]).backward();
    std::map<std::string, Tensor> found;
    for (const auto& item : model_->named_parameters()) found[item.key()] = item.value().grad();
    return found;
  }

  Golden golden_;
  std::shared_ptr<VisionLanguageModel> model_ = golden_.load();
};

TEST_F(Qwen25Vl, PackedEqualsAlone) {
  const torch::NoGradGuard no_grad;
  const Tensor packed = model_->forward(golden_.input());
  const Tensor alone =
      at::cat({model_->forward(golden_.sample(0)), model_->forward(golden_.sample(1))});
  EXPECT_LT(relative_difference(packed, alone), 1e-5);
}

TEST_F(Qwen25Vl, PicturesAreIndependentOfTheirBatch) {
  const torch::NoGradGuard no_grad;
  const auto grid = golden_.grid();
  const Tensor pixels = golden_["pixel_values"];
  const Tensor all = model_->encode_images(pixels, grid);
  int64_t patch = 0, token = 0;
  for (const ImageGrid& picture : grid) {
    const int64_t patches = picture.patches(), tokens = patches / 4;
    const Tensor one =
        model_->encode_images(pixels.slice(0, patch, patch + patches), std::vector{picture});
    EXPECT_LT(relative_difference(one, all.slice(0, token, token + tokens)), 1e-5);
    patch += patches;
    token += tokens;
  }
}

TEST_F(Qwen25Vl, CachedEqualsWhole) {
  const ModelInput sample = golden_.sample(0);
  const torch::NoGradGuard no_grad;
  const Tensor whole = model_->forward(sample);
  const int64_t length = sample.input_ids.size(0);
  // Text, both pictures in one piece, then token by token.
  for (const std::vector<int64_t>& lengths :
       {std::vector<int64_t>{4, length - 6, 1, 1}, std::vector<int64_t>{length}}) {
    KvCache cache;
    EXPECT_LT(relative_difference(in_pieces(sample, lengths, cache), at_ends(whole, lengths)),
              1e-4);
  }
}

TEST_F(Qwen25Vl, CacheGrowsAndKeepsWhatItHolds) {
  const torch::NoGradGuard no_grad;
  const int64_t length = 1300;  // more than two of the first capacity
  const ModelInput text{torch::randint(2, 50, {length}),
                        torch::arange(length).expand({3, length}),
                        {0, length},
                        {},
                        {}};
  KvCache cache;
  std::vector<int64_t> lengths(13, 100);
  EXPECT_LT(
      relative_difference(in_pieces(text, lengths, cache), at_ends(model_->forward(text), lengths)),
      1e-4);
  EXPECT_GE(cache.keys[0].size(2), length);
  EXPECT_LE(cache.keys[0].size(2), 2 * length);
}

TEST_F(Qwen25Vl, GradientCheckpointingIsBitEqual) {
  const auto plain = gradients(false), again = gradients(true);
  for (const auto& [name, gradient] : plain) EXPECT_TRUE(gradient.equal(again.at(name))) << name;
}

TEST_F(Qwen25Vl, CheckpointingWithAFrozenTowerTrainsTheRest) {
  for (auto& item : model_->named_parameters()) {
    item.value().set_requires_grad(model_->parameter_part(item.key()) != Part::kVision);
  }
  const auto plain = gradients(false), again = gradients(true);
  for (const auto& [name, gradient] : plain) {
    ASSERT_EQ(gradient.defined(), model_->parameter_part(name) != Part::kVision) << name;
    ASSERT_EQ(again.at(name).defined(), gradient.defined()) << name;
    EXPECT_TRUE(!gradient.defined() || gradient.equal(again.at(name))) << name;
  }
}

TEST_F(Qwen25Vl, TextWithoutPictures) {
  const torch::NoGradGuard no_grad;
  const std::vector<int32_t> ids = {5, 6, 7};
  int64_t next = 0;
  const Tensor positions = model_->position_ids(ids, {}, 0, &next);
  EXPECT_TRUE(positions.equal(torch::arange(3).expand({3, 3})));
  EXPECT_EQ(next, 3);
  const Tensor states = model_->forward({torch::tensor({5, 6, 7}), positions, {0, 3}, {}, {}});
  EXPECT_EQ(states.sizes(), (std::vector<int64_t>{3, 32}));
}

// Two neighbouring placeholders of different pictures, nothing between: the positions still
// restart.
TEST_F(Qwen25Vl, PositionsOfAdjacentPictures) {
  const std::vector<int32_t> ids = {60, 60, 60, 60, 5};
  const std::vector<ImageGrid> grid = {{1, 2, 4}, {1, 4, 2}};  // 1 x 2 and 2 x 1 tokens
  const Tensor expected = torch::tensor({{0, 0, 2, 2, 4}, {0, 0, 2, 3, 4}, {0, 1, 2, 2, 4}});
  EXPECT_TRUE(model_->position_ids(ids, grid, 0, nullptr).equal(expected));
}

// The whole model in bf16 stays near fp32 (its logits reach 6): 0.16 was seen between the two in
// transformers.
TEST_F(Qwen25Vl, RunsAndTrainsInBfloat16) {
  model_->to(torch::kBFloat16);
  const Tensor result = logits(*model_, golden_.input());
  EXPECT_EQ(result.scalar_type(), torch::kBFloat16);
  EXPECT_LT(relative_difference(result.to(torch::kFloat), golden_["logits"]), 0.06);
  result.sum().backward();
  for (const auto& item : model_->named_parameters()) {
    EXPECT_EQ(item.value().grad().scalar_type(), torch::kBFloat16) << item.key();
  }
}

// Truth: the same weights untied, where each of the two has a gradient of its own.
TEST_F(Qwen25Vl, TiedGradientIsTheSumOfHeadAndEmbedding) {
  for (const bool head_learns : {true, false}) {
    std::map<bool, std::map<std::string, Tensor>> gradients;
    for (const bool tied : {true, false}) {
      const auto file = golden_.write_directory() / "config.json";
      auto config = nlohmann::json::parse(core::read_file(file));
      config["tie_word_embeddings"] = tied;
      core::write_file_atomic(file, config.dump());
      const auto model = build_model(file);
      std::map<std::string, Tensor> weights = named_weights(*model_);
      weights["lm_head.weight"] = weights.at("model.embed_tokens.weight");
      const torch::NoGradGuard no_grad;
      for (auto& [name, weight] : named_weights(*model)) weight.copy_(weights.at(name));
      const torch::AutoGradMode recording(true);
      for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
        const ModelInput input = golden_.sample(micro_batch);
        (head_learns ? logits(*model, input) : model->forward(input)).square().sum().backward();
      }
      for (const auto& [name, weight] : named_weights(*model))
        gradients[tied][name] = weight.grad();
    }
    Tensor expected = gradients[false].at("model.embed_tokens.weight");
    if (head_learns) expected = expected + gradients[false].at("lm_head.weight");
    const Tensor& sum = gradients[true].at("model.embed_tokens.weight");
    EXPECT_FALSE(sum.is_sparse());
    EXPECT_LT(relative_difference(sum, expected), 1e-6);
  }
}

TEST_F(Qwen25Vl, EveryParameterBelongsToItsPart) {
  EXPECT_EQ(model_->parameter_part("visual.patch_embed.proj.weight"), Part::kVision);
  EXPECT_EQ(model_->parameter_part("visual.blocks.1.norm1.weight"), Part::kVision);
  EXPECT_EQ(model_->parameter_part("visual.merger.mlp.0.weight"), Part::kMerger);
  EXPECT_EQ(model_->parameter_part("model.layers.0.mlp.up_proj.weight"), Part::kLanguage);
  EXPECT_EQ(model_->parameter_part("model.norm.weight"), Part::kLanguage);
  EXPECT_EQ(model_->parameter_part("model.embed_tokens.weight"), Part::kEmbedding);
  EXPECT_EQ(model_->parameter_part("lm_head.weight"), Part::kEmbedding);
  EXPECT_EQ(model_->num_layers(), 2);
  EXPECT_EQ(model_->pixels_per_token_side(), 8);
}

}  // namespace
}  // namespace streamo::model
