// Device and CPU threads of a rank, the cost model that balances micro-batches, and the sharding
// groups.
#include "train/work_division.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>

#include "streamo/core/error.h"
#include "streamo/model/device.h"

namespace streamo::train {

torch::Device claim_device(parallel::Ranks& ranks) {
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

model::Workload item_workload(const data::Item& item) {
  return model::Workload::of_sample(item.tokens, item.supervised, item.visual_tokens, item.frames);
}

model::Training trained_parts(const config::RunConfig::Model& config, bool recomputed) {
  return {.vision = !config.freeze_vision,
          .merger = !config.freeze_merger,
          .language = !config.freeze_language,
          .recomputed = recomputed};
}

std::vector<data::PlanItem> plan_items(const data::Index& index,
                                       const model::VisionLanguageModel& model,
                                       const config::RunConfig::Model& config) {
  const model::Training training = trained_parts(config, config.gradient_checkpointing);
  std::vector<data::PlanItem> items;
  for (const data::Item& item : index.items) {
    items.push_back(
        {.tokens = item.tokens,
         .cost = model::training_flops(model.forward_flops(item_workload(item)), training)});
  }
  return items;
}

int shard_group_size(const config::RunConfig::Parallel& parallel, int ranks) {
  const auto size = static_cast<int>(parallel.shard_group_size);
  if (size == 0) return ranks;
  const parallel::ShardModeTraits& mode = parallel::traits(parallel.shard_mode());
  if (!mode.shards_optimizer || ranks % size != 0) {
    throw core::Error(
        core::ErrorKind::kConfig,
        !mode.shards_optimizer
            ? fmt::format("parallel.shard is {}, so there is nothing to spread over groups",
                          mode.name)
            : fmt::format("{} ranks cannot be divided into groups of {}", ranks, size),
        "parallel.shard_group_size", "choose a divisor of the number of ranks, or 0 for one group");
  }
  return size;
}

parallel::Sharding sharding(const std::shared_ptr<parallel::Ranks>& ranks,
                            const config::RunConfig& config) {
  const int group_size = shard_group_size(config.parallel, ranks->size());
  return {.ranks = ranks,
          .groups = parallel::ShardGroups::split(ranks, group_size),
          .mode = config.parallel.shard_mode()};
}

std::string sharding_summary(const config::RunConfig::Parallel& parallel) {
  const parallel::ShardModeTraits& mode = parallel::traits(parallel.shard_mode());
  std::string words = fmt::format("{}: {}", mode.name, mode.each_rank);
  if (parallel.shard_group_size > 0)
    words += fmt::format(", inside groups of {}", parallel.shard_group_size);
  return words;
}

}  // namespace streamo::train
