// Truth: the formula written out as a double loop below; finite differences; autograd's own
// gradient of the composed formula. CPU, double unless said.
#include "loss/streaming_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "nn/thread_count_guard.h"
#include "streamo/core/error.h"

namespace streamo::loss {
namespace {

using torch::Tensor;

constexpr int64_t kRows = 13, kHidden = 6, kVocabulary = 11;
constexpr double kDenominator = 17.0;

// Three samples, all classes, the last sample without Response; text in between. Target = state id
// of a state.
SupervisedRows example_rows(torch::ScalarType type = torch::kDouble) {
  torch::manual_seed(7);
  const std::vector<int64_t> states = {0, -1, 0, 1, 2, -1, -1, 0, 0, 1, 0, -1, 0};
  const std::vector<int64_t> samples = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2};
  std::vector<int64_t> targets;
  for (size_t i = 0; i < states.size(); ++i) {
    targets.push_back(states[i] >= 0 ? states[i] : 3 + static_cast<int64_t>(i) % 8);
  }
  return {torch::randn({kRows, kHidden}, torch::kDouble).to(type),
          torch::tensor(targets, torch::kLong), torch::tensor(states, torch::kLong),
          torch::tensor(samples, torch::kLong)};
}

Tensor example_head(torch::ScalarType type = torch::kDouble) {
  torch::manual_seed(8);
  return torch::randn({kVocabulary, kHidden}, torch::kDouble).to(type);
}

StreamingLoss make_loss(double gamma = 2.0, const std::string& scope = "micro_batch",
                        int64_t chunk_rows = 1024) {
  return StreamingLoss({gamma, scope, chunk_rows});
}

// alpha_c from counts, as the header defines it.
double expected_alpha(const std::vector<double>& counts, int64_t state) {
  double total = 0, present = 0;
  for (const double count : counts) {
    total += count;
    present += count > 0;
  }
  return total / counts[static_cast<size_t>(state)] / present;
}

// The loss with no tensor operation but reading numbers.
double written_out_loss(const SupervisedRows& rows, const Tensor& head, double gamma) {
  std::vector<double> counts(3);
  for (int64_t i = 0; i < rows.states.size(0); ++i) {
    const auto state = rows.states[i].item<int64_t>();
    if (state >= 0) counts[static_cast<size_t>(state)] += 1;
  }
  double sum = 0;
  for (int64_t i = 0; i < rows.targets.size(0); ++i) {
    std::vector<double> logits;
    double normalizer = 0;
    for (int64_t v = 0; v < head.size(0); ++v) {
      double logit = 0;
      for (int64_t h = 0; h < head.size(1); ++h) {
        logit += rows.hidden_states[i][h].item<double>() * head[v][h].item<double>();
      }
      logits.push_back(logit);
      normalizer += std::exp(logit);
    }
    const double p =
        std::exp(logits[static_cast<size_t>(rows.targets[i].item<int64_t>())]) / normalizer;
    const auto state = rows.states[i].item<int64_t>();
    const double weight = state < 0 ? 1.0 : expected_alpha(counts, state) * std::pow(1 - p, gamma);
    sum += weight * -std::log(p);
  }
  return sum / kDenominator;
}

TEST(StreamingLoss, EqualsTheFormulaWrittenOut) {
  const SupervisedRows rows = example_rows();
  const Tensor head = example_head();
  for (const double gamma : {0.0, 0.5, 1.0, 2.0, 3.5}) {
    const double got = make_loss(gamma)(rows, head, kDenominator).loss.item<double>();
    EXPECT_NEAR(got, written_out_loss(rows, head, gamma), 1e-12) << "gamma " << gamma;
  }
}

TEST(StreamingLoss, ReportsUnweightedLossPredictionAndWeightOfEachRow) {
  const SupervisedRows rows = example_rows();
  const Tensor head = example_head();
  const LossTerms terms = make_loss()(rows, head, kDenominator);
  const Tensor logits = rows.hidden_states.mm(head.t());
  const Tensor ce = torch::nn::functional::cross_entropy(
      logits, rows.targets,
      torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone));
  EXPECT_TRUE(torch::allclose(terms.token_loss, ce, 1e-12, 1e-12));
  EXPECT_TRUE(torch::equal(terms.predictions, logits.argmax(1)));
  EXPECT_NEAR((terms.weights * terms.token_loss).sum().item<double>() / kDenominator,
              terms.loss.item<double>(), 1e-12);
  EXPECT_EQ(terms.weights[1].item<double>(), 1.0);  // text
  EXPECT_FALSE(terms.token_loss.requires_grad() || terms.weights.requires_grad());
}

// Central differences of the loss in one entry of `tensor`.
double numeric_gradient(Tensor tensor, int64_t index, const std::function<double()>& loss) {
  constexpr double kStep = 1e-5;
  Tensor flat = tensor.detach().view({-1});
  const double value = flat[index].item<double>();
  flat[index] = value + kStep;
  const double above = loss();
  flat[index] = value - kStep;
  const double below = loss();
  flat[index] = value;
  return (above - below) / (2 * kStep);
}

TEST(StreamingLoss, GradientsEqualFiniteDifferences) {
  for (const double gamma : {0.0, 0.5, 1.0, 2.0}) {
    SupervisedRows rows = example_rows();
    rows.hidden_states.requires_grad_(true);
    const Tensor head = example_head().requires_grad_(true);
    make_loss(gamma, "micro_batch", 5)(rows, head, kDenominator).loss.backward();
    const auto loss = [&] {
      const torch::NoGradGuard no_grad;
      return make_loss(gamma)(rows, head, kDenominator).loss.item<double>();
    };
    for (const Tensor& tensor : {rows.hidden_states, head}) {
      const Tensor gradient = tensor.grad().view({-1});
      for (int64_t i = 0; i < gradient.size(0); ++i) {
        EXPECT_NEAR(gradient[i].item<double>(), numeric_gradient(tensor, i, loss), 1e-8)
            << "gamma " << gamma << " entry " << i;
      }
    }
  }
}

// The same loss out of differentiable torch operations, gradient by autograd.
Tensor composed_loss(const SupervisedRows& rows, const Tensor& head, const Tensor& alpha,
                     double gamma) {
  const Tensor log_p = torch::log_softmax(rows.hidden_states.mm(head.t()), 1);
  const Tensor ce = -log_p.gather(1, rows.targets.unsqueeze(1)).squeeze(1);
  const Tensor focal = alpha * (1 - (-ce).exp()).pow(gamma);
  return (torch::where(rows.states >= 0, focal, torch::ones_like(focal)) * ce).sum() / kDenominator;
}

TEST(StreamingLoss, GradientsEqualAutogradOfTheComposedFormulaAndScaleWithTheUpstreamOne) {
  SupervisedRows rows = example_rows();
  rows.hidden_states.requires_grad_(true);
  const Tensor head = example_head().requires_grad_(true);
  StreamingLoss loss = make_loss();
  const Tensor alpha = loss.class_weights(rows.states, rows.samples).to(torch::kDouble);
  (3.0 * composed_loss(rows, head, alpha, 2.0)).backward();
  const Tensor hidden_gradient = rows.hidden_states.grad().clone(),
               head_gradient = head.grad().clone();
  rows.hidden_states.mutable_grad().reset();
  head.mutable_grad().reset();
  (3.0 * loss(rows, head, kDenominator).loss).backward();
  EXPECT_TRUE(torch::allclose(rows.hidden_states.grad(), hidden_gradient, 1e-10, 1e-12));
  EXPECT_TRUE(torch::allclose(head.grad(), head_gradient, 1e-10, 1e-12));
}

TEST(StreamingLoss, ChunkSizeDoesNotChangeTheResult) {
  SupervisedRows whole = example_rows(torch::kFloat);
  whole.hidden_states.requires_grad_(true);
  const Tensor whole_head = example_head(torch::kFloat).requires_grad_(true);
  const Tensor expected = make_loss()(whole, whole_head, kDenominator).loss;
  expected.backward();
  for (const int64_t chunk_rows : {1, 4, 13}) {
    SupervisedRows rows = example_rows(torch::kFloat);
    rows.hidden_states.requires_grad_(true);
    const Tensor head = example_head(torch::kFloat).requires_grad_(true);
    const Tensor loss = make_loss(2.0, "micro_batch", chunk_rows)(rows, head, kDenominator).loss;
    loss.backward();
    EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-6);  // fp32
    EXPECT_TRUE(torch::allclose(rows.hidden_states.grad(), whole.hidden_states.grad(), 1e-5, 1e-6));
    EXPECT_TRUE(torch::allclose(head.grad(), whole_head.grad(), 1e-5, 1e-6));
  }
}

TEST(StreamingLoss, Bf16InputsAreComputedInFp32) {
  SupervisedRows rows = example_rows(torch::kBFloat16);
  rows.hidden_states.requires_grad_(true);
  const Tensor head = example_head(torch::kBFloat16).requires_grad_(true);
  SupervisedRows exact = rows;  // the same rounded numbers, computed in double
  exact.hidden_states = rows.hidden_states.detach().to(torch::kDouble).requires_grad_(true);
  const Tensor exact_head = head.detach().to(torch::kDouble).requires_grad_(true);
  const Tensor loss = make_loss()(rows, head, kDenominator).loss;
  const Tensor expected = make_loss()(exact, exact_head, kDenominator).loss;
  loss.backward();
  expected.backward();
  EXPECT_EQ(loss.scalar_type(), torch::kFloat);
  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-6);
  EXPECT_EQ(head.grad().scalar_type(), torch::kBFloat16);
  const double bf16_rounding = 1.0 / 256;  // of the gradients only
  EXPECT_TRUE(torch::allclose(rows.hidden_states.grad().to(torch::kDouble),
                              exact.hidden_states.grad(), bf16_rounding, 1e-6));
  EXPECT_TRUE(
      torch::allclose(head.grad().to(torch::kDouble), exact_head.grad(), bf16_rounding, 1e-6));
}

// A vocabulary that the CPU takes in blocks (2,048 numbers or more), the last one partial. Truth:
// the same numbers in double, which are not.
class LargeVocabulary : public testing::TestWithParam<torch::ScalarType> {
 protected:
  LargeVocabulary() {
    torch::manual_seed(9);
    for (int64_t i = 0; i < kMany; ++i) {
      states_.push_back(i % 4 - 1);
      targets_.push_back(i == 0 ? kWords - 1 : i * 13 % kWords);
    }
  }
  SupervisedRows rows(const Tensor& hidden) const {
    return {hidden.clone().requires_grad_(), torch::tensor(targets_, torch::kLong),
            torch::tensor(states_, torch::kLong), torch::zeros({kMany}, torch::kLong)};
  }

  static constexpr int64_t kMany = 150, kWords = 2100, kWidth = 64;
  std::vector<int64_t> states_, targets_;
};

TEST_P(LargeVocabulary, LossAndGradients) {
  const Tensor hidden = torch::randn({kMany, kWidth}).to(GetParam());
  const Tensor weight = (0.3 * torch::randn({kWords, kWidth})).to(GetParam());
  const Tensor head = weight.clone().requires_grad_(),
               exact_head = weight.to(torch::kDouble).requires_grad_();
  const SupervisedRows got = rows(hidden), exact = rows(hidden.to(torch::kDouble));
  const LossTerms terms = make_loss(2.0, "micro_batch", 140)(got, head, kDenominator),
                  expected = make_loss()(exact, exact_head, kDenominator);
  (3.0 * terms.loss).backward();
  (3.0 * expected.loss).backward();
  EXPECT_NEAR(terms.loss.item<double>(), expected.loss.item<double>(), 1e-4);
  EXPECT_TRUE(terms.predictions.equal(expected.predictions));
  EXPECT_TRUE(
      torch::allclose(terms.token_loss.to(torch::kDouble), expected.token_loss, 1e-5, 1e-5));
  // In bf16 the gradient of the logits is rounded, then its products.
  const double tolerance = GetParam() == torch::kFloat ? 1e-5 : 1.0 / 128;
  const auto expect_near = [&](const Tensor& a, const Tensor& b) {
    EXPECT_LT((a.to(torch::kDouble) - b).abs().max().item<double>(),
              tolerance * b.abs().max().item<double>());
  };
  expect_near(got.hidden_states.grad(), exact.hidden_states.grad());
  expect_near(head.grad(), exact_head.grad());
}

TEST_P(LargeVocabulary, SameBitsForAnyNumberOfThreads) {
  const nn::ThreadCountGuard keep;
  const Tensor hidden = torch::randn({kMany, kWidth}).to(GetParam());
  const Tensor weight = torch::randn({kWords, kWidth}).to(GetParam());
  std::vector<Tensor> hidden_gradients, head_gradients;
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    const SupervisedRows of_count = rows(hidden);
    const Tensor head = weight.clone().requires_grad_();
    make_loss()(of_count, head, kDenominator).loss.backward();
    hidden_gradients.push_back(of_count.hidden_states.grad());
    head_gradients.push_back(head.grad());
  }
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_TRUE(hidden_gradients[i].equal(hidden_gradients[0]));
    EXPECT_TRUE(head_gradients[i].equal(head_gradients[0]));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LargeVocabulary, testing::Values(torch::kFloat, torch::kBFloat16));

TEST(StreamingLoss, NoRowsGiveZeroLossAndZeroGradients) {
  const Tensor none = torch::empty({0}, torch::kLong);
  SupervisedRows rows = {torch::empty({0, kHidden}), none, none, none};
  rows.hidden_states.requires_grad_(true);
  const Tensor head = example_head(torch::kFloat).requires_grad_(true);
  for (const char* scope : {"micro_batch", "sample", "running"}) {
    const Tensor loss = make_loss(2.0, scope)(rows, head, kDenominator).loss;
    loss.backward();
    EXPECT_EQ(loss.item<double>(), 0.0);
  }
  EXPECT_EQ(head.grad().abs().max().item<double>(), 0.0);
  EXPECT_EQ(rows.hidden_states.grad().numel(), 0);
}

TEST(StreamingLoss, FrozenInputsGetNoGradient) {
  SupervisedRows rows = example_rows();
  const Tensor head = example_head().requires_grad_(true);
  make_loss()(rows, head, kDenominator).loss.backward();
  EXPECT_TRUE(head.grad().defined());
  rows.hidden_states.requires_grad_(true);
  const Tensor frozen = example_head();
  make_loss()(rows, frozen, kDenominator).loss.backward();
  EXPECT_TRUE(rows.hidden_states.grad().defined());
  EXPECT_FALSE(frozen.grad().defined());
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(make_loss()(rows, head, kDenominator).loss.requires_grad());
}

// p within 1e-9 of 1 and of 0: naive 1 - p is 0, and 0 to a negative power infinite.
TEST(StreamingLoss, StaysFiniteAtExtremeProbabilities) {
  for (const double gamma : {0.0, 0.5, 2.0}) {
    SupervisedRows rows = {torch::tensor({{60.0F}, {-60.0F}}).requires_grad_(true),
                           torch::tensor({0, 0}, torch::kLong), torch::tensor({0, 0}, torch::kLong),
                           torch::tensor({0, 0}, torch::kLong)};
    const Tensor head = torch::tensor({{1.0F}, {0.0F}}).requires_grad_(true);
    const LossTerms terms = make_loss(gamma)(rows, head, 1.0);
    terms.loss.backward();
    EXPECT_NEAR(terms.loss.item<double>(), 60.0, 1e-4);
    EXPECT_TRUE(torch::isfinite(rows.hidden_states.grad()).all().item<bool>());
    EXPECT_NEAR(rows.hidden_states.grad()[1].item<double>(), -1.0, 1e-6);
  }
}

// ---- class weights ------------------------------------------------------------------------------
// Counts 6 Silence, 2 Standby, 1 Response over the micro-batch of example_rows().

TEST(ClassWeights, OfTheMicroBatch) {
  const SupervisedRows rows = example_rows();
  const Tensor alpha = make_loss().class_weights(rows.states, rows.samples);
  EXPECT_EQ(alpha.scalar_type(), torch::kFloat);
  EXPECT_FLOAT_EQ(alpha[0].item<float>(), 9.0F / 6 / 3);
  EXPECT_FLOAT_EQ(alpha[3].item<float>(), 9.0F / 2 / 3);
  EXPECT_FLOAT_EQ(alpha[4].item<float>(), 9.0F / 1 / 3);
  EXPECT_FLOAT_EQ(alpha[1].item<float>(), 1.0F);  // text
}

TEST(ClassWeights, OfEachSampleWithAbsentClasses) {
  const SupervisedRows rows = example_rows();
  const Tensor alpha = make_loss(2.0, "sample").class_weights(rows.states, rows.samples);
  EXPECT_FLOAT_EQ(alpha[0].item<float>(),
                  4.0F / 2 / 3);  // sample 0: 2 Silence, 1 Standby, 1 Response
  EXPECT_FLOAT_EQ(alpha[4].item<float>(), 4.0F / 1 / 3);
  EXPECT_FLOAT_EQ(alpha[7].item<float>(), 3.0F / 2 / 2);  // sample 1: no Response
  EXPECT_FLOAT_EQ(alpha[9].item<float>(), 3.0F / 1 / 2);
  EXPECT_FLOAT_EQ(alpha[12].item<float>(), 1.0F);  // sample 2: only Silence
}

TEST(ClassWeights, RunningCountsAreThoseOfTheStepsSoFar) {
  const SupervisedRows rows = example_rows();  // 6, 2 and 1 state targets
  StreamingLoss loss = make_loss(2.0, "running");
  const Tensor silence_only = torch::zeros({3}, torch::kLong);
  loss.count_states({3, 0, 0});
  EXPECT_FLOAT_EQ(loss.class_weights(silence_only, silence_only)[0].item<float>(), 1.0F);
  loss.count_states({6, 2, 1});
  for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {  // asking changes nothing
    const Tensor alpha = loss.class_weights(rows.states, rows.samples);
    EXPECT_FLOAT_EQ(alpha[0].item<float>(), 12.0F / 9 / 3);
    EXPECT_FLOAT_EQ(alpha[4].item<float>(), 12.0F / 1 / 3);
  }
  EXPECT_EQ(loss.running_counts(), (std::array<double, 3>{9, 2, 1}));

  StreamingLoss restored = make_loss(2.0, "running");
  restored.set_running_counts(loss.running_counts());
  EXPECT_TRUE(torch::equal(loss.class_weights(rows.states, rows.samples),
                           restored.class_weights(rows.states, rows.samples)));
}

TEST(ClassWeights, OnlyTextGivesOnes) {
  const Tensor states = torch::full({4}, -1, torch::kLong),
               samples = torch::zeros({4}, torch::kLong);
  for (const char* scope : {"micro_batch", "sample", "running"}) {
    EXPECT_TRUE(
        torch::equal(make_loss(2.0, scope).class_weights(states, samples), torch::ones({4})));
  }
}

TEST(StreamingLoss, RefusesAnUnknownScope) {
  try {
    make_loss(2.0, "micro-batch");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kConfig);
    EXPECT_NE(std::string(error.what()).find("did you mean micro_batch"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace streamo::loss
