// What the scripts say to wrong arguments: how they are used, code 2, and nothing done.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_command.h"

namespace streamo {
namespace {

using test::CommandResult;
using testing::HasSubstr;
using testing::StartsWith;

CommandResult run(const std::string& script, const std::string& arguments) {
  return test::run_command(
      fmt::format("bash {}/{} {}", test::shell_quote(STREAMO_SOURCE_DIR), script, arguments));
}

class EachScript : public testing::TestWithParam<const char*> {};

TEST_P(EachScript, SaysHowItIsUsed) {
  for (const char* help : {"--help", "-h"}) {
    const CommandResult asked = run(GetParam(), help);
    EXPECT_EQ(asked.exit_code, 0) << asked.err;
    EXPECT_THAT(asked.out, StartsWith("usage: bash "));
    EXPECT_THAT(asked.out, HasSubstr(GetParam()));
  }
  const CommandResult wrong = run(GetParam(), "--frobnicate");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, testing::ContainsRegex("usage: bash |--help"));
  EXPECT_EQ(wrong.out, "");
}

INSTANTIATE_TEST_SUITE_P(All, EachScript,
                         testing::Values("train.sh", "scripts/setup.sh", "scripts/oracle.sh",
                                         "scripts/build.sh", "scripts/lint.sh", "scripts/fuzz.sh",
                                         "scripts/nightly.sh"));

TEST(Scripts, BuildKnowsItsPresets) {
  const CommandResult wrong = run("scripts/build.sh", "no-such-preset");
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("no-such-preset"));
}

TEST(Scripts, SetupRefusesALibtorchThatIsNone) {
  const CommandResult wrong = test::run_command(
      fmt::format("LIBTORCH=/tmp bash {}/scripts/setup.sh", test::shell_quote(STREAMO_SOURCE_DIR)));
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("LIBTORCH"));
  EXPECT_THAT(wrong.err, HasSubstr("/tmp"));
}

}  // namespace
}  // namespace streamo
