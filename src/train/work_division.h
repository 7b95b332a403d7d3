// What each rank does of a run's work, and keeps of its state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "streamo/data/index.h"
#include "streamo/data/plan.h"
#include "streamo/dist/ranks.h"
#include "streamo/model/keep_num_threads.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/train/run_config.h"

namespace streamo::train {

// Collective. A GPU for each process of a machine, over which the ranks exchange from now on; or
// the CPU, where there is none.
torch::Device take_device(dist::Ranks& ranks);

// How many threads an operator has that this thread calls, as long as the object lives.
class RankThreads {
 public:
  // `wanted` 0: the cores are shared by the ranks of a machine.
  RankThreads(int64_t wanted, const dist::Ranks& ranks);

 private:
  model::KeepNumThreads keep_;
};

// What an item makes a model compute.
model::Workload workload_of(const data::Item& item);
model::Training training_of(const RunConfig::Model& config, bool recomputed);

// The items with what they cost: the floating-point operations of a training step on them.
std::vector<data::PlanItem> plan_items(const data::Index& index,
                                       const model::VisionLanguageModel& model,
                                       const RunConfig::Model& config);

// Ranks that share what is kept in parts. Throws core::Error{kConfig} when `ranks` cannot be
// divided as parallel.shard_group_size says.
int shard_group_size(const RunConfig::Parallel& parallel, int ranks);
// Collective. These groups.
dist::ShardGroups shard_groups(const std::shared_ptr<dist::Ranks>& ranks, const RunConfig& config);

// What parallel.* means, for the start of a run.
std::string sharding_in_words(const RunConfig::Parallel& parallel);

}  // namespace streamo::train
