// What is sharded over the ranks of a run: one row of a table for each mode.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace streamo::parallel {

enum class ShardMode { kNone, kOptimizer, kFull };

struct ShardModeTraits {
  ShardMode mode;
  const char* name;       // as in parallel.shard
  const char* each_rank;  // what each rank does, for people
  bool shards_optimizer;  // moments and master weights
  bool shards_blocks;     // also weights and gradients of the model's blocks
};

// DDP, ZeRO stage 1 and ZeRO stage 3 (FSDP): Rajbhandari et al., arXiv 1910.02054.
inline constexpr std::array<ShardModeTraits, 3> kShardModes = {
    {{ShardMode::kNone, "none", "every rank keeps everything", false, false},
     {ShardMode::kOptimizer, "optimizer", "each rank keeps a part of the optimizer state", true,
      false},
     {ShardMode::kFull, "full",
      "each rank keeps a part of the blocks' weights, gradients and optimizer state", true, true}}};

const ShardModeTraits& traits(ShardMode mode);
// Throws core::Error{kConfig} for an unknown name.
ShardMode parse_shard_mode(std::string_view name);
std::vector<std::string> shard_mode_names();

}  // namespace streamo::parallel
