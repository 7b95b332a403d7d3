// One step of each kind of reducer. Truth: the same micro-batches on one rank with autograd's own
// sums, in fp32. Bit for bit where two ranks leave one order of sums, else within 1e-5 of the
// largest. The ranks are threads.
#include "parallel/gradient_reducer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/hf_directory.h"
#include "parallel/local_reducer.h"
#include "parallel/small_model.h"
#include "streamo/core/error.h"
#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

struct Case {
  int ranks;
  ShardMode mode;
  SumOrder order;
  bool exact;  // the sum has one order
};

void PrintTo(const Case& each, std::ostream* out) {
  *out << each.ranks << " ranks, " << traits(each.mode).name
       << (each.order == SumOrder::kTree ? ", in a tree" : "");
}

// One rank's two micro-batches, of those of `ranks` (small_model.h: some are empty).
void accumulate(SmallModel& model, int rank, GradientReducer* reducer = nullptr) {
  if (reducer != nullptr) reducer->begin_step(2);
  for (int number = 0; number < 2; ++number) {
    compute(model, rank, number);
    if (reducer != nullptr) reducer->end_micro_batch();
  }
}

// Summed over ranks by hand; in the order of the model's parameters.
std::vector<Tensor> true_gradients(int ranks) {
  std::vector<Tensor> sums;
  for (int rank = 0; rank < ranks; ++rank) {
    SmallModel model(false);
    accumulate(model, rank);
    const std::vector<Tensor> parameters = model.parameters();
    sums.resize(parameters.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      const Tensor gradient = parameters[i].grad();
      if (gradient.defined()) sums[i] = sums[i].defined() ? sums[i] + gradient : gradient;
    }
  }
  return sums;
}

Tensor parameter_part(const Tensor& whole, const ParameterPart& part) {
  return whole.reshape({-1}).narrow(0, part.range.begin, part.range.size());
}

bool agree(const Tensor& one, const Tensor& truth, bool exactly) {
  if (exactly) return one.equal(truth);
  if (one.numel() == 0) return true;
  return (one - truth).abs().max().item<double>() <= 1e-5 * truth.abs().max().item<double>();
}

class EachKind : public testing::TestWithParam<Case> {
 protected:
  // Models are made here: the seed of random weights is the process's.
  void SetUp() override {
    for (int rank = 0; rank < GetParam().ranks; ++rank)
      models_.push_back(std::make_unique<SmallModel>(false));
  }
  // work(reducer, model) on each rank.
  void on_ranks(const std::function<void(GradientReducer&, SmallModel&, Ranks&)>& work) {
    test::with_ranks(GetParam().ranks, [&](const std::shared_ptr<Ranks>& ranks) {
      SmallModel& model = *models_[static_cast<size_t>(ranks->rank())];
      const auto reducer = make_gradient_reducer(
          named_parameters(model), model, {ranks, ShardGroups::split(ranks, 0), GetParam().mode},
          GetParam().order);
      work(*reducer, model, *ranks);
    });
  }

  std::vector<std::unique_ptr<SmallModel>> models_;
};

TEST_P(EachKind, SumsOverMicroBatchesAndRanks) {
  const std::vector<Tensor> expected = true_gradients(GetParam().ranks);
  on_ranks([&](GradientReducer& reducer, SmallModel& model, Ranks& ranks) {
    for (int step = 0; step < 2; ++step) {  // nothing of the first is left in the second
      accumulate(model, ranks.rank(), &reducer);
      const Gradients gradients = reducer.reduce();
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_TRUE(gradients.values[i].defined()) << i;
        EXPECT_EQ(gradients.values[i].scalar_type(), torch::kFloat);
        EXPECT_TRUE(agree(gradients.values[i], parameter_part(expected[i], reducer.parts()[i]),
                          GetParam().exact))
            << reducer.parameters()[i].name;
      }
      for (const Tensor& parameter : model.parameters()) EXPECT_FALSE(parameter.grad().defined());
    }
  });
}

TEST_P(EachKind, ClipsTheNormOfAllOfThem) {
  double squares = 0;
  for (const Tensor& gradient : true_gradients(GetParam().ranks))
    squares += gradient.to(torch::kDouble).square().sum().item<double>();
  on_ranks([&](GradientReducer& reducer, SmallModel& model, Ranks& ranks) {
    accumulate(model, ranks.rank(), &reducer);
    const Gradients gradients = reducer.reduce();
    const double norm = reducer.clip_grad_norm(gradients, 0);
    EXPECT_NEAR(norm / std::sqrt(squares), 1, 1e-5);
    EXPECT_EQ(reducer.clip_grad_norm(gradients, 0.5 * norm), norm);
    EXPECT_NEAR(reducer.clip_grad_norm(gradients, 0) / norm, 0.5, 1e-5);
  });
}

// An update of every part; afterwards all ranks compute with it, and the first can save it.
TEST_P(EachKind, PublishesTheNewValuesToAllRanks) {
  SmallModel untrained(false);
  const auto before = model::named_weights(untrained);
  on_ranks([&](GradientReducer& reducer, SmallModel& model, Ranks& ranks) {
    accumulate(model, ranks.rank(), &reducer);
    const Gradients gradients = reducer.reduce();
    const torch::NoGradGuard no_grad;
    for (const ParameterPart& part : reducer.parts()) part.values.add_(1);
    reducer.publish(gradients);
    auto weights = model::named_weights(model);
    reducer.gather_weights(weights);
    if (ranks.first()) EXPECT_EQ(weights.size(), before.size());
    for (const auto& [name, weight] : weights)
      EXPECT_TRUE(weight.equal(before.at(name) + 1)) << name;
    reducer.unshard(/*on_all_ranks=*/true);
    for (const auto& [name, weight] : model::named_weights(model))
      EXPECT_TRUE(weight.equal(before.at(name) + 1)) << name;
    reducer.reshard();
  });
}

TEST_P(EachKind, GathersWhatIsKeptOfThePartsOnTheFirstRank) {
  on_ranks([&](GradientReducer& reducer, SmallModel& model, Ranks& ranks) {
    std::vector<Tensor> kept;
    for (const ParameterPart& part : reducer.parts()) kept.push_back(part.values + 1);
    kept[1].reset();
    const std::vector<Tensor> whole = reducer.gather_parts(kept);
    reducer.unshard(/*on_all_ranks=*/true);
    for (size_t i = 0; i < whole.size(); ++i) {
      ASSERT_EQ(whole[i].defined(), ranks.first() && i != 1) << i;
      if (whole[i].defined()) EXPECT_TRUE(whole[i].equal(model.parameters()[i] + 1)) << i;
    }
    reducer.reshard();
  });
}

// What no rank has a gradient of has none, and is no part of the update.
TEST_P(EachKind, AParameterWithoutAGradientStays) {
  on_ranks([&](GradientReducer& reducer, SmallModel& model, Ranks& ranks) {
    const Tensor embedding = model.embedding.detach().clone();
    reducer.begin_step(1);
    // Without a picture the vision blocks (parameters 1 to 4) have none: rank 0's second.
    if (ranks.first()) compute(model, 0, 1);
    reducer.end_micro_batch();
    const Gradients gradients = reducer.reduce();
    for (size_t i = 0; i < gradients.values.size(); ++i)
      EXPECT_EQ(gradients.values[i].defined(), i == 0 || i > 4) << i;
    reducer.publish(gradients);
    EXPECT_TRUE(model.embedding.equal(embedding));
    reducer.begin_step(0);
    EXPECT_FALSE(reducer.reduce().values[0].defined());
  });
}

INSTANTIATE_TEST_SUITE_P(All, EachKind,
                         testing::Values(Case{1, ShardMode::kNone, SumOrder::kSequential, true},
                                         Case{1, ShardMode::kFull, SumOrder::kTree, true},
                                         Case{2, ShardMode::kNone, SumOrder::kSequential, true},
                                         Case{2, ShardMode::kOptimizer, SumOrder::kSequential,
                                              true},
                                         Case{2, ShardMode::kFull, SumOrder::kSequential, false},
                                         Case{2, ShardMode::kNone, SumOrder::kTree, true},
                                         Case{2, ShardMode::kOptimizer, SumOrder::kTree, true},
                                         Case{2, ShardMode::kFull, SumOrder::kTree, false}));

// Truth: the chosen rows of the whole gradient.
TEST(GradientReducer, OfTrainedRowsTakesAndWritesThoseAlone) {
  const Tensor matrix = torch::arange(12, torch::kFloat).view({4, 3}).requires_grad_(true);
  const Tensor before = matrix.detach().clone(), rows = torch::tensor({1, 3}, torch::kLong);
  LocalReducer reducer({{.name = "embedding", .tensor = matrix, .rows = rows}});
  matrix.square().sum().backward();
  const Gradients gradients = reducer.reduce();
  EXPECT_TRUE(gradients.values[0].equal(2 * before.index_select(0, rows).view({-1})));
  EXPECT_EQ(reducer.parts()[0].shape, (std::vector<int64_t>{2, 3}));
  reducer.parts()[0].values.fill_(-1);
  reducer.publish(gradients);
  EXPECT_TRUE(matrix.index_select(0, rows).eq(-1).all().item<bool>());
  const Tensor others = torch::tensor({0, 2}, torch::kLong);
  EXPECT_TRUE(matrix.index_select(0, others).equal(before.index_select(0, others)));
}

TEST(GradientReducer, Bf16GradientsAddUpInFp32) {
  const Tensor weight = torch::ones({1}, torch::kBFloat16).requires_grad_(true);
  LocalReducer reducer({{"weight", weight}});
  (weight * 1.0).sum().backward();
  for (int i = 0; i < 64; ++i)
    (weight * 0.001953125).sum().backward();  // 2^-9: 1 + 2^-9 is 1 in bf16
  const Tensor gradient = reducer.reduce().values[0];
  EXPECT_EQ(gradient.scalar_type(), torch::kFloat);
  EXPECT_FLOAT_EQ(gradient.item<float>(), 1.125F);
}

TEST(GradientReducer, LeavesOutWhatIsFrozen) {
  const Tensor one = torch::ones({2}).requires_grad_(true), frozen = torch::ones({3});
  LocalReducer reducer({{"frozen", frozen}, {"one", one}});
  ASSERT_EQ(reducer.parameters().size(), 1U);
  EXPECT_EQ(reducer.parameters()[0].name, "one");
  EXPECT_EQ(reducer.parts().size(), 1U);
  EXPECT_THROW(LocalReducer({{"frozen", frozen}}), core::Error);
}

// Truth: torch.
TEST(ClipGradNorm, EqualsTorchAndReturnsTheNormBefore) {
  torch::manual_seed(3);
  const Tensor matrix = torch::randn({5, 4}).requires_grad_(true);
  const Tensor bias = torch::randn({4}).requires_grad_(true);
  LocalReducer reducer({{"matrix", matrix}, {"bias", bias}});
  const auto backward = [&] { (matrix.pow(3).sum() + bias.pow(3).sum()).backward(); };
  backward();
  const Gradients gradients = reducer.reduce();
  backward();
  const double norm = reducer.clip_grad_norm(gradients, 1.0);
  const double expected = torch::nn::utils::clip_grad_norm_(std::vector<Tensor>{matrix, bias}, 1.0);
  EXPECT_NEAR(norm, expected, 1e-6 * expected);
  EXPECT_GT(norm, 1.0);  // it did clip
  EXPECT_TRUE(torch::allclose(gradients.values[0], matrix.grad().view({-1}), 1e-6, 1e-7));
  EXPECT_TRUE(torch::allclose(gradients.values[1], bias.grad(), 1e-6, 1e-7));
}

TEST(ClipGradNorm, ZeroMeasuresOnlyAndNonFiniteScalesNothing) {
  const Tensor weight = torch::ones({3}).requires_grad_(true);
  LocalReducer reducer({{"weight", weight}});
  EXPECT_EQ(reducer.clip_grad_norm(reducer.reduce(), 1.0), 0.0);  // no gradient yet
  const Tensor gradient = torch::tensor({3.0F, 4.0F, 12.0F});
  EXPECT_EQ(reducer.clip_grad_norm({{gradient}, {gradient}}, 0.0), 13.0);
  EXPECT_EQ(gradient[2].item<float>(), 12.0F);
  gradient[0] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(reducer.clip_grad_norm({{gradient}, {gradient}}, 1.0)));
  EXPECT_EQ(gradient[2].item<float>(), 12.0F);
}

}  // namespace
}  // namespace streamo::parallel
