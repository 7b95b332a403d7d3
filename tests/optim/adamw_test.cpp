// Truth: torch::optim::AdamW (composed operations, another code path than the fused kernel) and
// torch::nn::utils::clip_grad_norm_. CPU fp32, tolerance 1e-6 relative.
#include "optim/adamw.h"

#include <gtest/gtest.h>

#include <limits>

#include "streamo/core/error.h"

namespace streamo::optim {
namespace {

using torch::Tensor;

constexpr double kLr = 1e-2;

// A matrix and a bias, the same numbers each time.
std::vector<NamedParameter> make_parameters(torch::ScalarType type = torch::kFloat) {
  torch::manual_seed(3);
  const Tensor matrix = torch::randn({5, 4}).to(type), bias = torch::randn({4}).to(type);
  return {{"layer.weight", matrix.requires_grad_(true)}, {"layer.bias", bias.requires_grad_(true)}};
}

Tensor gradient_like(const Tensor& tensor, int64_t step, int64_t index) {
  torch::manual_seed(static_cast<uint64_t>(100 * step + index));
  return torch::randn(tensor.sizes());
}

void set_gradients(const std::vector<NamedParameter>& parameters, int64_t step) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& tensor = parameters[i].tensor;
    tensor.mutable_grad() = gradient_like(tensor, step, static_cast<int64_t>(i));
  }
}

bool close(const Tensor& a, const Tensor& b) {
  return torch::allclose(a, b, 1e-6, 1e-7);
}

// Truth: an optimizer whose parameter is just those rows. Bit-equal, fp32 and bf16.
TEST(AdamW, TrainsChosenRowsAndLeavesTheOthersAlone) {
  for (const torch::ScalarType type : {torch::kFloat, torch::kBFloat16}) {
    const Tensor rows = torch::tensor({1, 3}, torch::kLong);
    const Tensor whole = make_parameters(type)[0].tensor, before = whole.detach().clone();
    const Tensor alone = before.index_select(0, rows).requires_grad_(true);
    const AdamWConfig config{.weight_decay = 0.1};
    AdamW optimizer({{.name = "embedding", .tensor = whole, .rows = rows}}, config);
    AdamW reference({{.name = "rows", .tensor = alone}}, config);
    for (int64_t step = 0; step < 3; ++step) {
      const Tensor gradient = gradient_like(before, step, 0);
      whole.mutable_grad() = gradient.clone();
      alone.mutable_grad() = gradient.index_select(0, rows);
      EXPECT_EQ(optimizer.clip_grad_norm(1.0), reference.clip_grad_norm(1.0));
      optimizer.step(kLr);
      reference.step(kLr);
      optimizer.zero_grad();
      reference.zero_grad();
      EXPECT_TRUE(torch::equal(whole.index_select(0, rows), alone)) << "step " << step;
    }
    const Tensor others = torch::tensor({0, 2, 4}, torch::kLong);
    EXPECT_TRUE(torch::equal(whole.index_select(0, others), before.index_select(0, others)));
    EXPECT_EQ(optimizer.state().at("embedding.exp_avg").size(0), 2);
  }
}

TEST(AdamW, EqualsTorchWithDecayOnMatricesOnly) {
  const auto ours = make_parameters(), theirs = make_parameters();
  AdamW optimizer(ours, {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.1});
  using torch::optim::AdamWOptions;
  const auto options = [](double decay) {
    return std::make_unique<AdamWOptions>(AdamWOptions(kLr).betas({0.9, 0.95}).weight_decay(decay));
  };
  torch::optim::AdamW reference(std::vector<torch::optim::OptimizerParamGroup>{
      {{theirs[0].tensor}, options(0.1)}, {{theirs[1].tensor}, options(0.0)}});
  for (int64_t step = 0; step < 5; ++step) {
    set_gradients(ours, step);
    set_gradients(theirs, step);
    const double lr = kLr * static_cast<double>(step + 1);
    for (auto& group : reference.param_groups()) group.options().set_lr(lr);
    optimizer.step(lr);
    reference.step();
    EXPECT_TRUE(close(ours[0].tensor, theirs[0].tensor)) << "step " << step;
    EXPECT_TRUE(close(ours[1].tensor, theirs[1].tensor)) << "step " << step;
  }
}

TEST(AdamW, ParametersCanHaveARateOfTheirOwn) {
  auto ours = make_parameters();
  const auto theirs = make_parameters();
  ours[0].lr_scale = 0.02;
  AdamW optimizer(ours, {.weight_decay = 0.1, .decay = "all"});
  using torch::optim::AdamWOptions;
  const auto options = [](double lr) {
    return std::make_unique<AdamWOptions>(AdamWOptions(lr).weight_decay(0.1));
  };
  torch::optim::AdamW reference(std::vector<torch::optim::OptimizerParamGroup>{
      {{theirs[0].tensor}, options(0.02 * kLr)}, {{theirs[1].tensor}, options(kLr)}});
  for (int64_t step = 0; step < 5; ++step) {
    set_gradients(ours, step);
    set_gradients(theirs, step);
    optimizer.step(kLr);
    reference.step();
    EXPECT_TRUE(close(ours[0].tensor, theirs[0].tensor)) << "step " << step;
    EXPECT_TRUE(close(ours[1].tensor, theirs[1].tensor)) << "step " << step;
  }
}

TEST(AdamW, Bf16ParametersFollowTheirFp32Master) {
  const auto rounded = make_parameters(torch::kBFloat16);
  auto exact = make_parameters(torch::kBFloat16);  // the same start, trained in fp32
  for (NamedParameter& parameter : exact) {
    parameter.tensor = parameter.tensor.detach().to(torch::kFloat).requires_grad_(true);
  }
  AdamW bf16(rounded, {}), fp32(exact, {});
  for (int64_t step = 0; step < 200; ++step) {
    set_gradients(rounded, 0);
    set_gradients(exact, 0);
    bf16.step(1e-5);  // far below a bf16 rounding step of these weights
    fp32.step(1e-5);
  }
  EXPECT_TRUE(torch::equal(bf16.state().at("layer.weight.master"), exact[0].tensor));
  EXPECT_TRUE(torch::equal(rounded[0].tensor, exact[0].tensor.to(torch::kBFloat16)));
  EXPECT_EQ(rounded[0].tensor.scalar_type(), torch::kBFloat16);
  EXPECT_FALSE(torch::equal(rounded[0].tensor, make_parameters(torch::kBFloat16)[0].tensor));
}

TEST(AdamW, Bf16GradientsAddUpInFp32) {
  const Tensor weight = torch::ones({1}, torch::kBFloat16).requires_grad_(true);
  AdamW optimizer({{"weight", weight}}, {});
  (weight * 1.0).sum().backward();
  for (int i = 0; i < 64; ++i)
    (weight * 0.001953125).sum().backward();  // 2^-9: 1 + 2^-9 is 1 in bf16
  EXPECT_EQ(weight.grad().scalar_type(), torch::kFloat);
  EXPECT_FLOAT_EQ(weight.grad().item<float>(), 1.125F);
}

TEST(AdamW, ResumesBitForBit) {
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const auto whole = make_parameters(type);
    AdamW never_stopped(whole, {.weight_decay = 0.1});
    std::map<std::string, Tensor> saved, weights;
    for (int64_t step = 0; step < 4; ++step) {
      if (step == 2) {
        for (const auto& [name, tensor] : never_stopped.state()) saved[name] = tensor.clone();
        for (const NamedParameter& own : whole) weights[own.name] = own.tensor.detach().clone();
      }
      set_gradients(whole, step);
      never_stopped.step(kLr);
    }
    const auto again = make_parameters(type);
    AdamW resumed(again, {.weight_decay = 0.1});
    resumed.load_state(saved);
    for (const NamedParameter& own : again) own.tensor.detach().copy_(weights.at(own.name));
    for (int64_t step = 2; step < 4; ++step) {
      set_gradients(again, step);
      resumed.step(kLr);
    }
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_TRUE(torch::equal(whole[i].tensor, again[i].tensor)) << whole[i].name;
    }
  }
}

TEST(AdamW, RefusesAForeignState) {
  AdamW optimizer(make_parameters(), {});
  auto missing = optimizer.state();
  missing.erase("layer.bias.exp_avg");
  EXPECT_THROW(optimizer.load_state(missing), core::Error);
  auto unknown = optimizer.state();
  unknown["other.exp_avg"] = torch::zeros({1});
  EXPECT_THROW(optimizer.load_state(unknown), core::Error);
  auto misshapen = optimizer.state();
  misshapen["layer.bias.exp_avg"] = torch::zeros({5});
  EXPECT_THROW(optimizer.load_state(misshapen), core::Error);
}

TEST(AdamW, FrozenParametersHaveNoStateAndDoNotMove) {
  auto parameters = make_parameters();
  parameters[1].tensor.requires_grad_(false);
  AdamW optimizer(parameters, {});
  EXPECT_EQ(optimizer.parameters().size(), 1U);
  EXPECT_FALSE(optimizer.state().contains("layer.bias.exp_avg"));
  parameters[0].tensor.requires_grad_(false);
  EXPECT_THROW(AdamW(parameters, {}), core::Error);
}

TEST(AdamW, ParametersWithoutGradientStayAndKeepTheirStepCount) {
  const auto parameters = make_parameters();
  const Tensor before = parameters[0].tensor.detach().clone();
  AdamW optimizer(parameters, {.weight_decay = 0.5});
  set_gradients(parameters, 0);
  parameters[0].tensor.mutable_grad().reset();
  optimizer.step(kLr);
  EXPECT_TRUE(torch::equal(parameters[0].tensor, before));
  EXPECT_EQ(optimizer.state().at("layer.weight.step").item<float>(), 0.0F);
  EXPECT_EQ(optimizer.state().at("layer.bias.step").item<float>(), 1.0F);
  optimizer.zero_grad();
  EXPECT_FALSE(parameters[1].tensor.grad().defined());
}

TEST(ClipGradNorm, EqualsTorchAndReturnsTheNormBefore) {
  const auto ours = make_parameters(), theirs = make_parameters();
  AdamW optimizer(ours, {});
  set_gradients(ours, 0);
  set_gradients(theirs, 0);
  const double norm = optimizer.clip_grad_norm(1.0);
  const double expected = torch::nn::utils::clip_grad_norm_(
      std::vector<Tensor>{theirs[0].tensor, theirs[1].tensor}, 1.0);
  EXPECT_NEAR(norm, expected, 1e-6 * expected);
  EXPECT_GT(norm, 1.0);  // it did clip
  EXPECT_TRUE(close(ours[0].tensor.grad(), theirs[0].tensor.grad()));
  EXPECT_TRUE(close(ours[1].tensor.grad(), theirs[1].tensor.grad()));
}

TEST(ClipGradNorm, ZeroMeasuresOnlyAndNonFiniteScalesNothing) {
  const auto parameters = make_parameters();
  AdamW optimizer(parameters, {});
  EXPECT_EQ(optimizer.clip_grad_norm(1.0), 0.0);  // no gradient yet
  optimizer.zero_grad();
  set_gradients(parameters, 0);
  const Tensor before = parameters[0].tensor.grad().clone();
  EXPECT_GT(optimizer.clip_grad_norm(0.0), 1.0);
  EXPECT_TRUE(torch::equal(parameters[0].tensor.grad(), before));
  optimizer.zero_grad();
  set_gradients(parameters, 0);
  parameters[1].tensor.mutable_grad()[0] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(optimizer.clip_grad_norm(1.0)));
  EXPECT_TRUE(torch::equal(parameters[0].tensor.grad(), before));
}

TEST(Decay, RulesDifferOnNormsAndBiases) {
  struct Case {
    const char* name;
    int64_t dimensions;
    bool matrices, transformers;
  };
  // The last column: transformers' get_decay_parameter_names on Qwen2.5-VL.
  for (const Case& c :
       {Case{"model.language_model.layers.0.mlp.up_proj.weight", 2, true, true},
        Case{"model.language_model.layers.0.self_attn.q_proj.bias", 1, false, false},
        Case{"model.language_model.layers.0.input_layernorm.weight", 1, false, false},
        Case{"model.language_model.norm.weight", 1, false, false},
        Case{"model.visual.blocks.3.norm1.weight", 1, false, true},
        Case{"model.visual.merger.ln_q.weight", 1, false, true},
        Case{"model.visual.patch_embed.proj.weight", 5, true, true}}) {
    EXPECT_EQ(decays("matrices", c.name, c.dimensions), c.matrices) << c.name;
    EXPECT_EQ(decays("transformers", c.name, c.dimensions), c.transformers) << c.name;
    EXPECT_TRUE(decays("all", c.name, c.dimensions));
  }
  EXPECT_THROW(decays("hf", "weight", 2), core::Error);
}

}  // namespace
}  // namespace streamo::optim
