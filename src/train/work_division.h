// What each rank does of a run's work, and keeps of its state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/loading/plan.h"
#include "data/samples/index.h"
#include "nn/thread_count_guard.h"
#include "parallel/gradient_reducer.h"
#include "parallel/ranks.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::train {

// Collective. A GPU for each process of a machine, over which the ranks exchange from now on; or
// the CPU, where there is none.
torch::Device claim_device(parallel::Ranks& ranks);

// How many threads an operator has that this thread calls, as long as the object lives.
class RankThreads {
 public:
  // `wanted` 0: the cores are shared by the ranks of a machine.
  RankThreads(int64_t wanted, const parallel::Ranks& ranks);

 private:
  nn::ThreadCountGuard keep_;
};

// What an item makes a model compute.
model::Workload item_workload(const data::Item& item);
model::Training trained_parts(const config::RunConfig::Model& config, bool recomputed);

// The items with what they cost: the floating-point operations of a training step on them.
std::vector<data::PlanItem> plan_items(const data::Index& index,
                                       const model::VisionLanguageModel& model,
                                       const config::RunConfig::Model& config);

// Ranks that share what is kept in parts. Throws core::Error{kConfig} when `ranks` cannot be
// divided as parallel.shard_group_size says.
int shard_group_size(const config::RunConfig::Parallel& parallel, int ranks);
// Collective: forms these groups.
parallel::Sharding sharding(const std::shared_ptr<parallel::Ranks>& ranks,
                            const config::RunConfig& config);

// What parallel.* means, for the start of a run.
std::string sharding_summary(const config::RunConfig::Parallel& parallel);

}  // namespace streamo::train
