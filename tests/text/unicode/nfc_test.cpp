#include "text/unicode/nfc.h"

#include <gtest/gtest.h>

namespace streamo::text {
namespace {

std::string normalized(std::string_view text) {
  std::string storage;
  return std::string(nfc(text, storage));
}

// Truth: NFC().normalize_str() of tokenizers 0.23.3. tests/oracle/tokenizer_oracle.py compares
// more.
TEST(Nfc, EqualsTokenizers) {
  EXPECT_EQ(normalized("e\u0301"), "\u00e9");
  EXPECT_EQ(normalized("\u212b"), "\u00c5");
  EXPECT_EQ(normalized("\u1112\u1161\u11ab"), "\ud55c");
  EXPECT_EQ(normalized("a\u0323\u0301"), "\u1ea1\u0301");
  EXPECT_EQ(normalized("a\u0301\u0323"), "\u1ea1\u0301");
  EXPECT_EQ(normalized("\u00e9\u0323"), "\u1eb9\u0301");
  EXPECT_EQ(normalized("\u0344"), "\u0308\u0301");
  EXPECT_EQ(normalized("\ufb2a"), "\u05e9\u05c1");
  EXPECT_EQ(normalized("<\u0338"), "\u226e");
  EXPECT_EQ(normalized("\u09c7\u09be"), "\u09cb");
  EXPECT_EQ(normalized("\u0915\u093c"), "\u0915\u093c");  // excluded from composition
}

// Likewise: Unicode 13 and 16 compose these, Unicode 10 reorders the last, the package does not.
TEST(Nfc, NewerCharactersStayAsTheyAre) {
  for (const char* text : {"\U00011935\U00011930", "\U000105d2\u0307", "x\u1df6\u0323"}) {
    EXPECT_EQ(normalized(text), text);
  }
}

TEST(Nfc, OnlyTheNeighbourhoodOfAMarkChanges) {
  EXPECT_EQ(normalized("caf\u00e9 e\u0301 plain o\u0308o \u4e2d\u6587 u\u0308"),
            "caf\u00e9 \u00e9 plain \u00f6o \u4e2d\u6587 \u00fc");
  EXPECT_EQ(normalized("\u0301a"), "\u0301a");
  EXPECT_EQ(normalized("e\u0301e\u0301"), "\u00e9\u00e9");
}

TEST(Nfc, TextBelow0300IsNotCopied) {
  const std::string text = "na\u00efve \u00fcber caf\u00e9";
  std::string storage;
  EXPECT_EQ(nfc(text, storage).data(), text.data());
}

}  // namespace
}  // namespace streamo::text
