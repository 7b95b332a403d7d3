#include "eval/bench/annotation.h"

#include <gmock/gmock.h>

#include "eval/bench/published.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

TEST(ClockSeconds, HoursMinutesSeconds) {
  EXPECT_EQ(clock_seconds("01:02:03"), 3723);
  EXPECT_EQ(clock_seconds("02:03.5"), 123.5);
  EXPECT_EQ(clock_seconds("7"), 7);
  for (const char* text : {"", "a", "1:", "1:x", "-1", "1 s"}) {
    EXPECT_THROW(clock_seconds(text), std::runtime_error) << text;
  }
}

TEST(OptionLetter, FromAOn) {
  EXPECT_EQ(option_letter(0), "A");
  EXPECT_EQ(option_letter(3), "D");
  EXPECT_THROW(option_letter(-1), std::out_of_range);
  EXPECT_THROW(option_letter(26), std::out_of_range);
}

using ReadLines = BenchFolder;

TEST_F(ReadLines, OneValueOrLines) {
  EXPECT_EQ(read_json_or_lines(write("a", std::string("[1]"))).size(), 1u);
  EXPECT_EQ(read_json_or_lines(write("a", std::string("{\"x\":1}\n\n{\"x\":2}\n"))).size(), 2u);
}

TEST_F(ReadLines, AHalfWrittenLastLineIsPassedOverAnyOtherIsNot) {
  EXPECT_EQ(read_json_or_lines(write("a", std::string("{\"x\":1}\n{\"x\":2}\n{\"x\":"))).size(),
            2u);
  // With its newline it was written whole, and wrong.
  EXPECT_THROW(read_json_or_lines(write("a", std::string("{\"x\":1}\n{\"x\":\n"))), core::Error);
  EXPECT_THROW(read_json_or_lines(write("a", std::string("{\"x\":\n{\"x\":1}\n"))), core::Error);
}

}  // namespace
}  // namespace streamo::eval
