// The table of shard modes, by mode and by name.
#include "parallel/shard_mode.h"

#include <algorithm>

#include "core/suggest.h"
#include "streamo/core/error.h"

namespace streamo::parallel {

const ShardModeTraits& traits(ShardMode mode) {
  const auto* const row = std::find_if(kShardModes.begin(), kShardModes.end(),
                                       [&](const auto& each) { return each.mode == mode; });
  STREAMO_CHECK(row != kShardModes.end(), "every mode has a row");
  return *row;
}

ShardMode parse_shard_mode(std::string_view name) {
  for (const ShardModeTraits& row : kShardModes) {
    if (row.name == name) return row.mode;
  }
  throw core::Error(core::ErrorKind::kConfig, "unknown shard mode \"" + std::string(name) + "\"",
                    "parallel.shard", core::suggestion(std::string(name), shard_mode_names()));
}

std::vector<std::string> shard_mode_names() {
  std::vector<std::string> names;
  for (const ShardModeTraits& row : kShardModes) names.emplace_back(row.name);
  return names;
}

}  // namespace streamo::parallel
