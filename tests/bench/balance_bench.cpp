// How evenly a step's work is dealt to the ranks: the mean of their costs over the largest, for
// samples of 20 to 220 s of video (evenly spread) and Qwen2.5-VL-3B with a frozen vision tower.
// Costs are floating-point operations; nothing is computed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/rng.h"
#include "data/loading/plan.h"
#include "model/qwen2_5_vl/flops.h"

namespace streamo {
namespace {

model::qwen2_5_vl::Config config_3b() {
  model::qwen2_5_vl::Config config;  // the vision tower's defaults are the published ones
  config.text = {.vocab_size = 151936,
                 .hidden_size = 2048,
                 .intermediate_size = 11008,
                 .num_hidden_layers = 36,
                 .num_attention_heads = 16,
                 .num_key_value_heads = 2};
  return config;
}

std::vector<data::PlanItem> items_of(int64_t samples) {
  constexpr int64_t kTokens = 144, kVisual = 120, kSupervised = 3;  // a second, at 1280x720
  core::Rng rng({1});
  std::vector<data::PlanItem> items;
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t seconds = rng.integer(20, 220);
    const auto work = model::Workload::of_sample(seconds * kTokens, seconds * kSupervised,
                                                 seconds * kVisual, seconds);
    const double cost = model::training_flops(model::qwen2_5_vl::forward_flops(config_3b(), work),
                                              {.vision = false, .recomputed = true});
    items.push_back({.tokens = work.tokens, .cost = cost});
  }
  return items;
}

// Mean over the steps of an epoch.
double balance(const std::vector<data::PlanItem>& items, data::PlanOptions options) {
  std::vector<data::Plan> plans;
  for (options.rank = 0; options.rank < options.world_size; ++options.rank)
    plans.emplace_back(items, options);
  double sum = 0;
  int64_t steps = 0;
  for (int64_t step = 0; step + 1 < plans[0].total_steps(); ++step) {  // the last one is smaller
    std::vector<std::vector<double>> costs;                            // by rank and micro-batch
    for (data::Plan& plan : plans) {
      costs.emplace_back();
      for (const data::MicroBatchPlan& batch : plan.step(step).micro_batches) {
        double cost = 0;
        for (const size_t item : batch.items) cost += items[item].cost;
        costs.back().push_back(cost);
      }
    }
    double all = 0, longest = 0;
    for (const auto& of_rank : costs) {
      const double own = std::accumulate(of_rank.begin(), of_rank.end(), 0.0);
      all += own;
      longest = std::max(longest, own);
    }
    if (options.in_rounds) {  // all wait for the slowest in each round
      longest = 0;
      for (size_t round = 0; round < costs[0].size(); ++round) {
        double slowest = 0;
        for (const auto& of_rank : costs) {
          if (round < of_rank.size()) slowest = std::max(slowest, of_rank[round]);
        }
        longest += slowest;
      }
    }
    sum += all / options.world_size / longest;
    ++steps;
  }
  return sum / static_cast<double>(steps);
}

void print(int64_t samples, bool packing) {
  const std::vector<data::PlanItem> items = items_of(samples);
  for (const int ranks : {2, 4, 8, 64}) {
    for (const int64_t micro_batches : {1, 4, 16, 64}) {
      data::PlanOptions options{
          .seed = 1, .packing = packing, .grad_accum_steps = micro_batches, .world_size = ranks};
      const double by_cost = balance(items, options);
      options.in_rounds = true;
      const double rounds = balance(items, options);
      options.in_rounds = false;
      options.fixed_order = true;
      fmt::print("| {} | {} | {} | {:.1f} % | {:.1f} % | {:.1f} % |\n", packing ? "32768" : "no",
                 ranks, micro_batches, 100 * balance(items, options), 100 * by_cost, 100 * rounds);
    }
  }
}

}  // namespace
}  // namespace streamo

int main(int argc, char** argv) {
  CLI::App app("How evenly work is dealt to ranks");
  int64_t samples = 40000;
  app.add_option("--samples", samples, "in the dataset")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  fmt::print("| packing | ranks | micro-batches each | in order | by cost | in rounds |\n");
  fmt::print("| --- | --- | --- | --- | --- | --- |\n");
  for (const bool packing : {false, true}) streamo::print(samples, packing);
  return 0;
}
