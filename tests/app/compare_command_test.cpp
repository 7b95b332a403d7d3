// `streamo compare` of runs of the example: the same twice, and one with another seed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/command_folder.h"

namespace streamo {
namespace {

using test::CommandResult;
using testing::HasSubstr;

TEST(CompareCommand, NamesTheFirstDifferenceAndSaysItInItsExitCode) {
  const test::CommandFolder folder("compare-command");
  for (const auto& [name, seed] : {std::pair{"a", 1}, {"b", 1}, {"c", 2}}) {
    const CommandResult run = folder.streamo(fmt::format(
        "train {0}/configs/example.json data.train={0}/dataset/example/raw_data.json data.eval=[] "
        "eval.every_steps=0 "
        "train.max_steps=2 train.num_threads=1 log.every_steps=1 log.tensorboard=false "
        "train.seed={1} checkpoint.dir=$PWD/{2}",
        STREAMO_SOURCE_DIR, seed, name));
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  const CommandResult same = folder.streamo("compare a b");
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  EXPECT_THAT(same.out, HasSubstr("steps        2, all equal"));
  EXPECT_THAT(same.out, HasSubstr("\nequal\n"));
  const CommandResult different = folder.streamo("compare a c");
  EXPECT_EQ(different.exit_code, 1);
  EXPECT_THAT(different.out, HasSubstr("setting      train.seed: 1 -> 2"));
  EXPECT_THAT(different.out, HasSubstr("2 of 2 differ, first step 1: loss is"));
  EXPECT_THAT(different.out, HasSubstr("tensors differ\n  first      "));
  EXPECT_EQ(different.err, "");
  EXPECT_EQ(folder.streamo("compare a none").exit_code, 11);
  EXPECT_EQ(folder.streamo("compare a").exit_code, 2);
}

}  // namespace
}  // namespace streamo
