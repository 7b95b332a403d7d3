// Gradients sent while the last backward pass goes on. Truth: the gradients of whole models, added
// up; fp32, bit for bit (a sum over two ranks has one order). The ranks are threads.
#include "parallel/gradient_exchange.h"

#include <gtest/gtest.h>

#include <mutex>

#include "parallel/small_model.h"
#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

using parallel::Ranks;

class GradientExchangeOf : public testing::TestWithParam<int> {};  // the rank that stops early

// Each rank has two micro-batches; one of them may be stopped before its last, and what it has is
// sent all the same.
TEST_P(GradientExchangeOf, SumsAreThoseOfWholeModels) {
  const int stopped = GetParam();
  std::vector<Tensor> expected;
  for (int rank = 0; rank < 2; ++rank) {
    parallel::SmallModel model(/*recomputed=*/false);
    for (int number = 0; number < (rank == stopped ? 1 : 2); ++number) compute(model, rank, number);
    size_t next = 0;
    for (const Tensor& parameter : model.parameters()) {
      const Tensor gradient =
          parameter.grad().defined() ? parameter.grad() : torch::zeros_like(parameter);
      if (rank == 0) {
        expected.push_back(gradient);
      } else {
        expected[next] = expected[next] + gradient;
      }
      ++next;
    }
  }
  std::vector<std::unique_ptr<SmallModel>> models;
  for (int rank = 0; rank < 2; ++rank)
    models.push_back(std::make_unique<parallel::SmallModel>(false));
  test::with_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
    parallel::SmallModel& model = *models[static_cast<size_t>(ranks->rank())];
    std::vector<Tensor> parameters = model.parameters();
    std::vector<GradientExchange::Parameter> exchanged;
    for (const Tensor& parameter : parameters) exchanged.push_back({parameter, parameter.numel()});
    size_t taken = 0, taken_in_backward = 0;
    GradientExchange exchange(parallel::ShardGroups::split(ranks, 0), model, exchanged,
                              torch::kFloat, [&](size_t i) {
                                ++taken;
                                const Tensor gradient = parameters[i].grad();
                                parameters[i].mutable_grad().reset();
                                return gradient.defined() ? gradient.reshape({-1}) : gradient;
                              });
    for (int repeat = 0; repeat < 2; ++repeat) {
      taken = 0;
      compute(model, ranks->rank(), 0);
      EXPECT_EQ(taken, 0U);  // not the last
      if (ranks->rank() != stopped) {
        exchange.begin_last_micro_batch();
        compute(model, ranks->rank(), 1);
        taken_in_backward = taken;
      }
      exchange.send_all();
      EXPECT_EQ(taken, parameters.size());
      const std::vector<Tensor> sums = exchange.receive_all();
      for (size_t i = 0; i < sums.size(); ++i) {
        const int64_t numel = parameters[i].numel(), own = sums[i].numel();
        const Tensor truth =
            expected[i].view({-1}).narrow(0, ranks->rank() == 0 ? 0 : numel - own, own);
        EXPECT_TRUE(sums[i].equal(truth)) << i;
      }
    }
    // The second micro-batch of rank 0 has no picture, and rank 1 has none (small_model.h). Of the
    // three decoder blocks the last two's weights and biases went ahead.
    if (ranks->first() && stopped != 0) EXPECT_EQ(taken_in_backward, 2U * 2);
  });
}

INSTANTIATE_TEST_SUITE_P(All, GradientExchangeOf, testing::Values(-1, 0, 1));

}  // namespace
}  // namespace streamo::parallel
