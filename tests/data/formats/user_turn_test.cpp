// The user's side of a turn. Truth: docs/data.md, written out; tags also by Python's rounding.
#include "data/formats/user_turn.h"

#include <gtest/gtest.h>

#include <set>

namespace streamo::data {
namespace {

TEST(TimeTag, HasAtMostThreeDecimals) {
  EXPECT_EQ(time_tag(0, 1), "<0s-1s>");
  EXPECT_EQ(time_tag(99, 1), "<99s-100s>");
  EXPECT_EQ(time_tag(1, 3), "<0.333s-0.667s>");
  EXPECT_EQ(time_tag(2, 3), "<0.667s-1s>");
  EXPECT_EQ(time_tag(3, 3), "<1s-1.333s>");
  EXPECT_EQ(time_tag(1, 29.97), "<0.033s-0.067s>");
  EXPECT_EQ(time_tag(1, 0.3), "<3.333s-6.667s>");
  EXPECT_EQ(time_tag(3, 0.3), "<10s-13.333s>");
  EXPECT_EQ(time_tag(6, 7), "<0.857s-1s>");
  EXPECT_EQ(time_tag(1, 4), "<0.25s-0.5s>");
  EXPECT_EQ(time_tag(1, 1e-3), "<1000s-2000s>");
}

TEST(TimeTag, TellsTurnsApart) {
  for (const double fps : {1e-3, 0.3, 1.0, 3.0, 7.0, 29.97, 59.94, 999.0, 1000.0}) {
    std::set<std::string> tags;
    for (int64_t turn = 0; turn < 5000; ++turn) {
      const std::string tag = time_tag(turn, fps);
      EXPECT_TRUE(tags.insert(tag).second) << fps << ": " << tag;
      EXPECT_EQ(extract_question(user_content("What?", turn, fps)), "What?") << tag;
      EXPECT_EQ(extract_question(user_content("", turn, fps)), "") << tag;
    }
  }
}

TEST(QuestionOf, IsFoundWhereverItStands) {
  for (const char* content : {
           "What?\n<4s-5s>\n<stream>",
           "What?\n<0.3333333333333333s-0.6666666666666666s>\n<stream>",  // as it once was written
           "<4s-5s>\n<stream>\nWhat?",
           "<stream>\n<4s-5s>\nWhat?",
           "<4s-5s>\nWhat?\n<stream>",
           "<stream>\nWhat?\n<4s-5s>",
           "What? <4s-5s> <stream>",
           "<4s-5s> What? <stream>",
           "<4s-5s><stream>What?",
           "What?<stream>",
           "<stream>What?",
           "What?\r\n<4s-5s>\r\n<stream>\r\n",
           "<4s-5s>\r\n<stream>\r\nWhat?\r\n",
           "What?\n<4.0 seconds>\n<stream>",
           "<4.0 seconds><stream>What?",
           "What?\n[00:04]\n<image>",
           "[00:04 - 00:05] What?\n<image>",
           "What?\n<timestamp>4.0</timestamp>\n<stream>",
           "What? <time>4 s</time><stream>",
           "Time: 4.0s\n<stream>\nWhat?",
           "Frame 4:\n<stream>\nWhat?",
           "What?\n<4s–5s>\n<stream>",
           "<0s-1s>\n<stream>\n<1s-2s>\n<stream>\nWhat?",
           "<stream><0s-1s><stream><1s-2s>What?",
           "What?\n<stream>\n<stream>",
           "What?",
       }) {
    EXPECT_EQ(extract_question(content), "What?") << content;
  }
}

TEST(QuestionOf, IsEmptyWhereNothingIsAsked) {
  for (const char* content :
       {"", "<4s-5s>\n<stream>", "<stream>", "<stream>\n<4s-5s>", "<4s-5s>\r\n<stream>\r\n",
        "[00:04]<image>", "<4.0 seconds>\n<stream>", "Time: 4.0s\n<stream>", "\n<stream>\n"}) {
    EXPECT_EQ(extract_question(content), "") << content;
  }
}

TEST(QuestionOf, KeepsItsLinesAndItsOwnNumbers) {
  EXPECT_EQ(extract_question("How many?\n1\n2\n12:30\n<4s-5s>\n<stream>"),
            "How many?\n1\n2\n12:30");
  EXPECT_EQ(extract_question("First?\n<4s-5s>\n<stream>\nSecond?"), "First?\nSecond?");
  EXPECT_EQ(extract_question("What is between <2s-3s> and now?\n<4s-5s>\n<stream>"),
            "What is between <2s-3s> and now?");
  EXPECT_EQ(extract_question("<stream>\nHow many?\n1\n2"), "How many?\n1\n2");
  EXPECT_EQ(extract_question("Is <b> bold?\n<stream>"), "Is <b> bold?");
}

TEST(Repeats, OfOneTurnAreAskedOnce) {
  EXPECT_EQ(without_repeats("What?\nWhat?\n<4s-5s>\n<stream>"), "What?\n<4s-5s>\n<stream>");
  EXPECT_EQ(without_repeats("What?\nWhere?\nWhat?\n<stream>"), "What?\nWhere?\n<stream>");
  EXPECT_EQ(without_repeats("What?\r\nWhat?\r\n<stream>"), "What?\r\n<stream>");
  EXPECT_EQ(without_repeats("Watch\nWatch"), "Watch");
  EXPECT_EQ(without_repeats("<stream>\nWhat?\nWhat?"), "<stream>\nWhat?");
  for (const char* kept :
       {"What?\nWhere?", "<stream>\n<stream>", "Is it A?\nYes\nNo\nIs it B?\nYes\nNo", "a\n\n\nb",
        "", "\n", "<1s-2s>\n<1s-2s>"}) {
    EXPECT_EQ(without_repeats(kept), kept);
  }
}

}  // namespace
}  // namespace streamo::data
