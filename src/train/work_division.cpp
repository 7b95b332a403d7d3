// Device and CPU threads of a rank, the cost model that balances micro-batches, and the sharding
// groups.
#include "train/work_division.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>

#include "streamo/core/error.h"
#include "streamo/model/device.h"

namespace streamo::train {

torch::Device take_device(parallel::Ranks& ranks) {
  const torch::Device device = model::available_device(ranks.local_rank());
  if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  ranks.exchange_on(device);
  return device;
}

RankThreads::RankThreads(int64_t wanted, const parallel::Ranks& ranks) {
  if (wanted > 0) {
    at::set_num_threads(static_cast<int>(wanted));
  } else if (ranks.size() > 1) {
    at::set_num_threads(std::max(1, keep_.before() / ranks.local_size()));
  }
}

model::Workload workload_of(const data::Item& item) {
  return model::Workload::of_sample(item.tokens, item.supervised, item.visual_tokens, item.frames);
}

model::Training training_of(const config::RunConfig::Model& config, bool recomputed) {
  return {.vision = !config.freeze_vision,
          .merger = !config.freeze_merger,
          .language = !config.freeze_language,
          .recomputed = recomputed};
}

std::vector<data::PlanItem> plan_items(const data::Index& index,
                                       const model::VisionLanguageModel& model,
                                       const config::RunConfig::Model& config) {
  const model::Training training = training_of(config, config.gradient_checkpointing);
  std::vector<data::PlanItem> items;
  for (const data::Item& item : index.items) {
    items.push_back(
        {.tokens = item.tokens,
         .cost = model::training_flops(model.forward_flops(workload_of(item)), training)});
  }
  return items;
}

int shard_group_size(const config::RunConfig::Parallel& parallel, int ranks) {
  const auto size = static_cast<int>(parallel.shard_group_size);
  if (size == 0) return ranks;
  if (parallel.shard == "none" || ranks % size != 0) {
    throw core::Error(
        core::ErrorKind::kConfig,
        parallel.shard == "none"
            ? "parallel.shard is none, so there is nothing to spread over groups"
            : fmt::format("{} ranks cannot be divided into groups of {}", ranks, size),
        "parallel.shard_group_size", "choose a divisor of the number of ranks, or 0 for one group");
  }
  return size;
}

parallel::ShardGroups shard_groups(const std::shared_ptr<parallel::Ranks>& ranks,
                                   const config::RunConfig& config) {
  return parallel::ShardGroups::split(ranks, shard_group_size(config.parallel, ranks->size()));
}

std::string sharding_in_words(const config::RunConfig::Parallel& parallel) {
  if (parallel.shard == "none") return "none: every rank keeps everything";
  std::string words = parallel.shard == "full"
                          ? "full: each rank keeps a part of the blocks' weights, gradients and "
                            "optimizer state"
                          : "optimizer: each rank keeps a part of the optimizer state";
  if (parallel.shard_group_size > 0)
    words += fmt::format(", inside groups of {}", parallel.shard_group_size);
  return words;
}

}  // namespace streamo::train
