#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "eval/bench/published.h"
#include "support/run_command.h"

namespace streamo {
namespace {

using nlohmann::json;
using test::CommandResult;
using testing::HasSubstr;

class ThresholdsCommand : public eval::BenchFolder {
 protected:
  void SetUp() override {
    BenchFolder::SetUp();
    json turns = json::array();
    for (int i = 0; i < 60; ++i) {
      turns.push_back({{"truth", i == 10 ? "Response" : "Silence"},
                       {"predicted", "Silence"},
                       {"probabilities",
                        {0.9, 0.0,
                         i == 11   ? 0.4
                         : i == 30 ? 0.3
                                   : 0.1}}});
    }
    write("eval.json",
          json{{"mode", "streaming"}, {"timelines", {{{"fps", 1.0}, {"turns", turns}}}}});
  }
  CommandResult thresholds(const std::string& arguments) const {
    return test::run_in(folder_, test::shell_quote(STREAMO_BINARY) + " thresholds " + arguments);
  }
};

TEST_F(ThresholdsCommand, TableJsonAndPage) {
  const CommandResult table = thresholds("eval.json --false-alarms 0.5 --html out.html");
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("threshold 0.4000: meets 100.0 % of the responses at 0.00"));
  EXPECT_THAT(core::read_file(folder_ / "out.html"), HasSubstr("<svg"));
  const CommandResult near = thresholds("eval.json --tolerance 0 --json --false-alarms 1");
  ASSERT_EQ(near.exit_code, 0) << near.err;
  EXPECT_EQ(json::parse(near.out).at("wanted").at("recall"), 0.0);
}

TEST_F(ThresholdsCommand, OtherFilesAreRefused) {
  write("x.json", json::object());
  const CommandResult other = thresholds("x.json");
  EXPECT_EQ(other.exit_code, 11);
  EXPECT_THAT(other.err, HasSubstr("x.json: no evaluation with timelines"));
  EXPECT_EQ(thresholds("eval.json --false-alarms -1").exit_code, 2);
}

}  // namespace
}  // namespace streamo
