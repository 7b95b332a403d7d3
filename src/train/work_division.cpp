#include "work_division.h"

#include <fmt/format.h>

#include "streamo/core/error.h"

namespace streamo::train {

std::vector<data::PlanItem> plan_items(const data::Index& index,
                                       const model::VisionLanguageModel& model,
                                       const RunConfig::Model& config) {
  std::vector<data::PlanItem> items;
  for (const data::Item& item : index.items) {
    const model::Flops forward = model.forward_flops(
        model::Workload::of_sample(item.tokens, item.supervised, item.visual_tokens, item.frames));
    items.push_back(
        {.tokens = item.tokens,
         .cost = model::training_flops(forward, {.vision = !config.freeze_vision,
                                                 .merger = !config.freeze_merger,
                                                 .language = !config.freeze_language,
                                                 .recomputed = config.gradient_checkpointing})});
  }
  return items;
}

dist::ShardGroups shard_groups(const std::shared_ptr<dist::Ranks>& ranks, const RunConfig& config) {
  const int64_t size = config.parallel.shard_group_size;
  if (size > 0 && (ranks->size() % size != 0 || config.parallel.shard == "none")) {
    throw core::Error(
        core::ErrorKind::kConfig,
        config.parallel.shard == "none"
            ? "parallel.shard is none, so there is nothing to spread over groups"
            : fmt::format("{} ranks cannot be divided into groups of {}", ranks->size(), size),
        "parallel.shard_group_size", "choose a divisor of the number of ranks, or 0 for one group");
  }
  return dist::ShardGroups::split(ranks, static_cast<int>(size));
}

}  // namespace streamo::train
