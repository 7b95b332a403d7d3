#include "text/bpe/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>

namespace streamo::text {
namespace {

TEST(ByteAlphabet, EveryByteHasACharacterOfItsOwn) {
  std::set<std::string> characters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string spelled = spelling_of_byte(static_cast<unsigned char>(byte));
    characters.insert(spelled);
    EXPECT_EQ(bytes_of_spelling(spelled), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(characters.size(), 256u);
}

// Truth: bytes_to_unicode() of GPT-2, as seen in the published vocab.json of Qwen2.
TEST(ByteAlphabet, IsThatOfGpt2) {
  EXPECT_EQ(bytes_of_spelling("\u0120the\u010a"), " the\n");
  EXPECT_EQ(bytes_of_spelling("\u00e4\u00bd\u0142"), "\u4f60");
  EXPECT_EQ(spelling_of_byte(0), "\u0100");
  EXPECT_EQ(spelling_of_byte(0x7f), "\u0121");
  EXPECT_EQ(spelling_of_byte(0xad), "\u0143");
}

TEST(ByteAlphabet, OtherCharactersStandForNoByte) {
  for (const char* text : {" ", "a b", "\u2581the", "\u0144", "\u4f60", "\n"}) {
    EXPECT_EQ(bytes_of_spelling(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace streamo::text
