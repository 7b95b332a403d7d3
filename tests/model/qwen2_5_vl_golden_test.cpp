// Truth: transformers on the same weights and inputs, fp32 on the CPU
// (tests/oracle/qwen2_5_vl_golden.py). Tolerance 1e-4 of the largest magnitude: transformers' own
// attention implementations differ by 2e-6.
#include "model/golden.h"

namespace streamo::model {
namespace {

using torch::Tensor;

constexpr double kTolerance = 1e-4;

class Qwen25VlGolden : public testing::TestWithParam<const char*> {
 protected:
  Golden golden_;
  std::shared_ptr<VisionLanguageModel> model_ = golden_.load(GetParam());
};

TEST_P(Qwen25VlGolden, ImageFeatures) {
  const Tensor features = model_->encode_images(golden_["pixel_values"], golden_.grid());
  EXPECT_LT(relative_difference(features, golden_["image_embeds"]), kTolerance);
}

TEST_P(Qwen25VlGolden, LogitsOfPackedSamples) {
  EXPECT_LT(relative_difference(logits(*model_, golden_.input()), golden_["logits"]), kTolerance);
}

TEST_P(Qwen25VlGolden, LossAndEveryGradient) {
  const Tensor loss = at::cross_entropy_loss(logits(*model_, golden_.input()), golden_["targets"]);
  EXPECT_NEAR(loss.item<double>(), golden_["loss"].item<double>(), 1e-5);
  loss.backward();
  const auto expected = golden_.with_prefix("grad.");
  size_t compared = 0;
  for (const auto& item : model_->named_parameters()) {
    ASSERT_TRUE(expected.contains(item.key())) << item.key();
    EXPECT_LT(relative_difference(item.value().grad(), expected.at(item.key())), kTolerance)
        << item.key();
    ++compared;
  }
  EXPECT_EQ(compared, expected.size());
}

TEST_P(Qwen25VlGolden, PositionsOfEachSample) {
  const ModelInput both = golden_.input();
  for (int64_t number = 0; number < 2; ++number) {
    const ModelInput one = golden_.sample(number);
    const Tensor ids = one.input_ids.to(torch::kInt);
    const std::span<const int32_t> tokens(ids.const_data_ptr<int32_t>(),
                                          static_cast<size_t>(ids.numel()));
    int64_t next = 0;
    const Tensor positions = model_->position_ids(tokens, one.image_grid, 0, &next);
    EXPECT_TRUE(positions.equal(one.position_ids));
    EXPECT_EQ(next, one.position_ids.max().item<int64_t>() + 1);  // both samples end with text
    EXPECT_TRUE(
        model_->position_ids(tokens, one.image_grid, 7, nullptr).equal(one.position_ids + 7));
  }
}

TEST_P(Qwen25VlGolden, PixelValuesBitEqual) {
  std::vector<ImageGrid> grid;
  std::vector<Tensor> patches;
  std::vector<ImageGrid> all;
  for (const char* name : {"picture.0.0", "picture.0.1", "picture.1.0", "picture.1.1"}) {
    patches.push_back(model_->patchify(golden_[name].unsqueeze(0), &grid));
    all.insert(all.end(), grid.begin(), grid.end());
  }
  EXPECT_TRUE(at::cat(patches).equal(golden_["pixel_values"]));
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].t, 1);
    EXPECT_EQ(all[i].h, golden_.grid()[i].h);
    EXPECT_EQ(all[i].w, golden_.grid()[i].w);
  }
}

INSTANTIATE_TEST_SUITE_P(BothConfigShapes, Qwen25VlGolden,
                         testing::Values("config", "config_nested"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace streamo::model
