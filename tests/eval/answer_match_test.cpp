// Truth: the words counted by hand.
#include "eval/answer_match.h"

#include <gmock/gmock.h>

namespace streamo::eval {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Words, AreLowerCaseWithoutWhatStandsBetween) {
  EXPECT_THAT(split_words(" The red-ball, 2nd.\n"), ElementsAre("the", "red", "ball", "2nd"));
  EXPECT_THAT(split_words("\u00c9T\u00c9!"), ElementsAre("\u00e9t\u00e9"));
  EXPECT_THAT(split_words(" ... "), IsEmpty());
}

TEST(Words, WideCharactersStandForThemselves) {
  EXPECT_THAT(split_words("\u7ea2\u8272 ball\u7403"),
              ElementsAre("\u7ea2", "\u8272", "ball", "\u7403"));
}

TEST(Words, WhatIsNoUtf8OnlySeparates) {
  EXPECT_THAT(split_words("a\xff"
                          "b"),
              ElementsAre("a", "b"));
}

TEST(WordF1, CountsEachWordAsOftenAsItOccurs) {
  EXPECT_DOUBLE_EQ(word_f1("go go stop", "go stop stop"), 2.0 * 2 / 6);
  EXPECT_DOUBLE_EQ(word_f1("left", "right"), 0);
  EXPECT_DOUBLE_EQ(word_f1("The ball", "the BALL."), 1);
  EXPECT_DOUBLE_EQ(word_f1("", "."), 1);
  EXPECT_DOUBLE_EQ(word_f1("ball", ""), 0);
}

}  // namespace
}  // namespace streamo::eval
