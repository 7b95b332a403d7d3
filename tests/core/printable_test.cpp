// Truth: written out by hand, after Unicode's names of the characters.
#include "core/printable.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace streamo::core {
namespace {

TEST(Printable, LeavesTextAlone) {
  for (const char* text : {"", "clip 1.mp4", "Läuft: 東京 🎬", "two\nlines\tand a tab", "a\\u001b"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, WritesOutWhatSteersATerminal) {
  EXPECT_EQ(printable("\x1b]0;title\x07"), "\\u001b]0;title\\u0007");
  EXPECT_EQ(printable("good\rbad\x7f"), "good\\u000dbad\\u007f");
  EXPECT_EQ(printable("\xC2\x9B"
                      "2J"),
            "\\u009b2J")
      << "C1: CSI in one character";
  EXPECT_EQ(printable("gpj.\xE2\x80\xAE"), "gpj.\\u202e") << "right-to-left override";
  EXPECT_EQ(printable("\xE2\x81\xA6x\xE2\x80\xA8"), "\\u2066x\\u2028");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\u0000b");
}

TEST(Printable, WritesOutBytesThatAreNoText) {
  EXPECT_EQ(printable("caf\xE9/"), "caf\\xe9/") << "Latin-1";
  EXPECT_EQ(printable("\x9B"
                      "2J"),
            "\\x9b2J");
  EXPECT_EQ(printable("\xC0\x9B"), "\\xc0\\x9b") << "overlong";
  EXPECT_EQ(printable("\xE0\x82\x9B"), "\\xe0\\x82\\x9b") << "overlong";
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(printable("cut \xF0\x9F\x8E"), "cut \\xf0\\x9f\\x8e");
}

TEST(Printable, KeepsJsonTheSameJson) {
  const nlohmann::json json = {"\x1b[2J", "\x7f", "\xC2\x9B", "\xE2\x80\xAE"};
  const std::string shown = printable(json.dump(1));
  EXPECT_EQ(nlohmann::json::parse(shown), json);
  EXPECT_EQ(shown.find_first_not_of("\n []\",\\u0123456789abcdefJ"), std::string::npos) << shown;
}

TEST(PrintableLine, HasNoSecondLine) {
  EXPECT_EQ(printable_line("a\nerror: b\tc"), "a\\u000aerror: b\\u0009c");
}

}  // namespace
}  // namespace streamo::core
