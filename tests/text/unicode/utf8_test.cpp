#include "text/unicode/utf8.h"

#include <gtest/gtest.h>

namespace streamo::text {
namespace {

std::string repaired(std::string_view text) {
  std::string storage;
  return std::string(well_formed(text, storage));
}

TEST(Utf8, EveryCharacterComesBack) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text;
    append_code_point(code, text);
    ASSERT_EQ(character_length(text, 0), static_cast<int>(text.size()))
        << static_cast<uint32_t>(code);
    ASSERT_TRUE(code_point_at(text, 0) == code) << static_cast<uint32_t>(code);
    ASSERT_EQ(repaired(text), text);
  }
}

TEST(Utf8, WellFormedTextIsNotCopied) {
  const std::string text = "plain, then caf\u00e9 and \U0001f600 behind more than eight bytes";
  std::string storage;
  EXPECT_EQ(well_formed(text, storage).data(), text.data());
}

// Truth: the examples of the Unicode Standard 15.0, section 3.9 (tables 3-8 to 3-11).
TEST(Utf8, EachMaximalFaultyPartIsReplacedOnce) {
  const std::string r = "\ufffd";
  EXPECT_EQ(repaired("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"),
            r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(repaired("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), r + r + r + r + "A");
}

TEST(Utf8, AFaultAtTheEndOfALongTextIsFound) {
  EXPECT_EQ(repaired("sixteen bytes of\xe4\xb8"), "sixteen bytes of\ufffd");
  EXPECT_EQ(repaired("\xff"
                     "sixteen bytes of"),
            "\ufffd"
            "sixteen bytes of");
}

}  // namespace
}  // namespace streamo::text
