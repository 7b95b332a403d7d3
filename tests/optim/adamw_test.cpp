// Truth: torch::optim::AdamW (composed operations, another code path than the fused kernel). CPU
// fp32, tolerance 1e-6 relative.
#include "optim/adamw.h"

#include <gtest/gtest.h>

#include <limits>

#include "parallel/deterministic_reducer.h"
#include "parallel/local_reducer.h"
#include "streamo/core/error.h"
#include "support/with_ranks.h"

namespace streamo::optim {
namespace {

using model::NamedParameter;
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

// The optimizer of one rank with what it needs around it.
struct Alone {
  Alone(std::vector<NamedParameter> parameters, AdamWConfig config)
      : reducer(std::move(parameters)), optimizer(reducer, std::move(config)) {}

  void step(double lr) {
    const parallel::Gradients gradients = reducer.reduce();
    optimizer.step(gradients.values, lr);
    reducer.publish(gradients);
  }
  std::map<std::string, Tensor> state() const { return optimizer.state(reducer); }

  parallel::LocalReducer reducer;
  AdamW optimizer;
};

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
    Alone optimizer({{.name = "embedding", .tensor = whole, .rows = rows}}, config);
    Alone reference({{.name = "rows", .tensor = alone}}, config);
    for (int64_t step = 0; step < 3; ++step) {
      const Tensor gradient = gradient_like(before, step, 0);
      whole.mutable_grad() = gradient.clone();
      alone.mutable_grad() = gradient.index_select(0, rows);
      optimizer.step(kLr);
      reference.step(kLr);
      EXPECT_TRUE(torch::equal(whole.index_select(0, rows), alone)) << "step " << step;
    }
    const Tensor others = torch::tensor({0, 2, 4}, torch::kLong);
    EXPECT_TRUE(torch::equal(whole.index_select(0, others), before.index_select(0, others)));
    EXPECT_EQ(optimizer.state().at("embedding.exp_avg").size(0), 2);
  }
}

TEST(AdamW, EqualsTorchWithDecayOnMatricesOnly) {
  const auto ours = make_parameters(), theirs = make_parameters();
  Alone optimizer(ours, {.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.1});
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
  Alone optimizer(ours, {.weight_decay = 0.1, .decay = "all"});
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
  Alone bf16(rounded, {}), fp32(exact, {});
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

TEST(AdamW, ResumesBitForBit) {
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const auto whole = make_parameters(type);
    Alone never_stopped(whole, {.weight_decay = 0.1});
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
    Alone resumed(again, {.weight_decay = 0.1});
    resumed.optimizer.load_state(saved);
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
  Alone optimizer(make_parameters(), {});
  auto missing = optimizer.state();
  missing.erase("layer.bias.exp_avg");
  EXPECT_THROW(optimizer.optimizer.load_state(missing), core::Error);
  auto unknown = optimizer.state();
  unknown["other.exp_avg"] = torch::zeros({1});
  EXPECT_THROW(optimizer.optimizer.load_state(unknown), core::Error);
  auto misshapen = optimizer.state();
  misshapen["layer.bias.exp_avg"] = torch::zeros({5});
  EXPECT_THROW(optimizer.optimizer.load_state(misshapen), core::Error);
}

TEST(AdamW, ParametersWithoutGradientStayAndKeepTheirStepCount) {
  const auto parameters = make_parameters();
  const Tensor before = parameters[0].tensor.detach().clone();
  Alone optimizer(parameters, {.weight_decay = 0.5});
  set_gradients(parameters, 0);
  parameters[0].tensor.mutable_grad().reset();
  optimizer.step(kLr);
  EXPECT_TRUE(torch::equal(parameters[0].tensor, before));
  EXPECT_EQ(optimizer.state().at("layer.weight.step").item<float>(), 0.0F);
  EXPECT_EQ(optimizer.state().at("layer.bias.step").item<float>(), 1.0F);
}

TEST(AdamW, TellsWhetherAllNumbersAreFinite) {
  const auto parameters = make_parameters();
  Alone optimizer(parameters, {});
  EXPECT_TRUE(optimizer.optimizer.is_finite());
  parameters[1].tensor.detach()[0] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(optimizer.optimizer.is_finite());
}

// Shards of two ranks, in every mode. Truth: one rank with the same sum of gradients; bit for bit,
// parameters and state. And a state of one is a state of the other.
TEST(AdamW, UpdatesShardsAsItUpdatesTheWhole) {
  const auto make = [] {
    torch::Generator random = at::detail::createCPUGenerator(4);
    return std::vector<NamedParameter>{
        {"matrix", torch::randn({60, 50}, random).requires_grad_(true)},
        {"bias", torch::randn({7}, random).requires_grad_(true)}};
  };
  const auto set = [](const std::vector<NamedParameter>& parameters, int64_t step, double share) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Tensor& tensor = parameters[i].tensor;
      torch::Generator random =
          at::detail::createCPUGenerator(static_cast<uint64_t>(10 * step + int64_t(i)));
      tensor.mutable_grad() = share * torch::randn(tensor.sizes(), random);
    }
  };
  const auto truth = make();
  Alone alone(truth, {.weight_decay = 0.1});
  for (int64_t step = 0; step < 4; ++step) {
    set(truth, step, 1.0);
    alone.step(kLr);
  }
  std::map<std::string, Tensor> saved;
  for (const auto mode : {parallel::ShardMode::kNone, parallel::ShardMode::kOptimizer}) {
    test::with_ranks(2, [&](const std::shared_ptr<parallel::Ranks>& ranks) {
      const auto parameters = make();
      const parallel::Sharding sharding{ranks, parallel::ShardGroups::split(ranks, 0), mode};
      parallel::DeterministicReducer reducer(parameters, sharding);
      auto optimizer = std::make_unique<AdamW>(reducer, AdamWConfig{.weight_decay = 0.1});
      for (int64_t step = 0; step < 4; ++step) {
        set(parameters, step, ranks->first() ? 2.0 : -1.0);
        reducer.end_micro_batch();
        const parallel::Gradients gradients = reducer.reduce();
        optimizer->step(gradients.values, kLr);
        reducer.publish(gradients);
        if (step != 1) continue;
        // On into another one, as from a checkpoint; the first rank's state goes to both.
        auto state = optimizer->state(reducer);
        if (ranks->first()) saved = std::move(state);
        ranks->barrier();
        optimizer = std::make_unique<AdamW>(reducer, AdamWConfig{.weight_decay = 0.1});
        optimizer->load_state(saved);
        ranks->barrier();
      }
      for (size_t i = 0; i < truth.size(); ++i)
        EXPECT_TRUE(parameters[i].tensor.equal(truth[i].tensor)) << truth[i].name;
      const auto state = optimizer->state(reducer);
      EXPECT_EQ(state.size(), ranks->first() ? 6U : 0U);
      for (const auto& [name, tensor] : state)
        EXPECT_TRUE(tensor.equal(alone.state().at(name))) << name;
    });
  }
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
