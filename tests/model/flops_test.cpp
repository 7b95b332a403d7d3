// Counts of operations. Truth: every number of a weight matrix is used in one multiplication and
// one addition a row, so the counts follow from the sizes of the model's own parameters; attention
// by hand.
#include "streamo/model/flops.h"

#include <gtest/gtest.h>

#include "model/qwen2_5_vl/model.h"

namespace streamo::model {
namespace {

qwen2_5_vl::Config small_config() {
  qwen2_5_vl::Config config;
  config.vision = {.hidden_size = 48,
                   .depth = 3,
                   .num_heads = 2,
                   .intermediate_size = 80,
                   .out_hidden_size = 64,
                   .fullatt_block_indexes = {1}};
  config.text = {.vocab_size = 100,
                 .hidden_size = 64,
                 .intermediate_size = 96,
                 .num_hidden_layers = 2,
                 .num_attention_heads = 4,
                 .num_key_value_heads = 2,
                 .mrope_section = {2, 3, 3}};
  return config;
}

TEST(Flops, FollowFromTheSizesOfTheWeights) {
  qwen2_5_vl::Model model(small_config());
  // 30 tokens, of these 2 pictures of 6 visual tokens; 5 supervised.
  const Workload work = Workload::of_sample(30, 5, 12, 2);
  double vision = 0, merger = 0, language = 0, head = 0;
  for (const auto& item : model.named_parameters()) {
    const torch::Tensor& weight = item.value();
    if (weight.dim() < 2) continue;  // biases and norms are not counted
    const double uses = 2.0 * static_cast<double>(weight.numel());
    switch (model.parameter_part(item.key())) {
      case Part::kVision:
        vision += uses * 48;
        break;  // patches
      case Part::kMerger:
        merger += uses * 12;
        break;
      case Part::kLanguage:
        language += uses * 30;
        break;
      case Part::kEmbedding:
        if (item.key().starts_with("lm_head")) head += uses * 5;  // a look-up computes nothing
    }
  }
  const Flops flops = model.forward_flops(work);
  EXPECT_EQ(flops.vision_weights, vision);
  EXPECT_EQ(flops.merger, merger);
  EXPECT_EQ(flops.language_weights, language);
  EXPECT_EQ(flops.head, head);
  EXPECT_EQ(flops.language_attention, 2 * (30 * 31 / 2) * (2 * 64 * 2.0));  // layers, pairs
  // A picture has 24 patches, less than a window's 64: each block has 24 x 24 pairs a picture.
  EXPECT_EQ(flops.vision_attention, 3 * (2 * 24 * 24) * (2 * 48 * 2.0));
}

TEST(Flops, OfATrainingStep) {
  const Flops forward{.vision_weights = 1,
                      .vision_attention = 10,
                      .merger = 100,
                      .language_weights = 1000,
                      .language_attention = 10000,
                      .head = 100000};
  EXPECT_EQ(training_flops(forward, {}), 3 * 111111);
  EXPECT_EQ(training_flops(forward, {.recomputed = true}), 3 * 111111 + 11011);
  // Nothing before the merger has a gradient.
  EXPECT_EQ(training_flops(forward, {.vision = false, .recomputed = true}),
            11 + 2 * 100 + 4 * 11000 + 3 * 100000);
  EXPECT_EQ(training_flops(forward, {.vision = false, .merger = false, .language = false}),
            11 + 100 + 2 * 1000 + 3 * 10000 + 3 * 100000);
}

TEST(Flops, WithoutPicturesThereIsNoVision) {
  qwen2_5_vl::Model model(small_config());
  const Flops flops = model.forward_flops(Workload::of_sample(10, 2, 0, 0));
  EXPECT_EQ(flops.vision_weights + flops.vision_attention + flops.merger, 0);
}

}  // namespace
}  // namespace streamo::model
