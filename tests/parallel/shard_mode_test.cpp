// The table of shard modes, by name and back.
#include "parallel/shard_mode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ShardMode, NamesAreThoseOfTheTable) {
  EXPECT_THAT(shard_mode_names(), ElementsAre("none", "optimizer", "full"));
  for (const ShardModeTraits& row : kShardModes) {
    EXPECT_EQ(parse_shard_mode(row.name), row.mode);
    EXPECT_STREQ(traits(row.mode).name, row.name);
  }
}

TEST(ShardMode, WhatShardsBlocksShardsTheirOptimizerStateToo) {
  EXPECT_FALSE(traits(ShardMode::kNone).shards_optimizer);
  EXPECT_TRUE(traits(ShardMode::kOptimizer).shards_optimizer);
  for (const ShardModeTraits& row : kShardModes)
    EXPECT_TRUE(row.shards_optimizer || !row.shards_blocks) << row.name;
}

TEST(ShardMode, AnUnknownNameIsRefused) {
  try {
    parse_shard_mode("optimiser");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("did you mean optimizer?"));
  }
}

}  // namespace
}  // namespace streamo::parallel
