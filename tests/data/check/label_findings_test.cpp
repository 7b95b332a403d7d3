// Doubtful labels. Truth: the rules of docs/data.md, applied by hand.
#include "data/check/label_findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace streamo::data {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Findings collect_findings(const json& questions, const json& responses, double fps = 1) {
  const auto annotation =
      parse_annotation({{"video_path", "a.mp4"}, {"question", questions}, {"response", responses}});
  EXPECT_TRUE(annotation) << annotation.reason();
  Findings findings;
  find_label_problems(*annotation, 20, fps, findings);
  return findings;
}

json event(const json& start, const json& end, const char* content = "Done.") {
  return {{"content", content}, {"st_time", start}, {"end_time", end}};
}
json moment(const json& time) {
  return {{"content", "Now."}, {"time", time}};
}
const json kAsked = json::array({{{"content", "When?"}, {"time", 1}}});

TEST(LabelFindings, AreNoneWhereAllIsWell) {
  EXPECT_THAT(collect_findings(kAsked, {event(2, 4), event(5, 9), moment(12), moment(1)}),
              IsEmpty());
  EXPECT_THAT(collect_findings(json::array(), json::array({moment(1)})), IsEmpty())
      << "the default question";
}

TEST(LabelFindings, NameNegativeTimes) {
  EXPECT_THAT(
      collect_findings({{{"content", "When?"}, {"time", -1}}}, {event("-3", 4), moment(-2)}),
      ElementsAre(Pair(Finding::kNegativeTime, "question[0]: time -1 counts as turn 0"),
                  Pair(Finding::kNegativeTime, "response[0]: st_time -3 counts as turn 0"),
                  Pair(Finding::kNegativeTime, "response[1]: time -2 counts as turn 0")));
}

TEST(LabelFindings, NameEventsThatOverlap) {
  // Turns 1 to 7, 3 to 4 and 5 to 8: the second and third lie in the first. 9 to 10 touches none.
  EXPECT_THAT(
      collect_findings(kAsked, {event(2, 8), event(4, 5), event(6, 9), event(10, 11)}),
      ElementsAre(Pair(Finding::kOverlappingEvents,
                       "response[1]: its event, turns 3 to 4, overlaps that of response[0], "
                       "turns 1 to 7"),
                  Pair(Finding::kOverlappingEvents,
                       "response[2]: its event, turns 5 to 8, overlaps that of response[0], "
                       "turns 1 to 7")));
  EXPECT_THAT(collect_findings(kAsked, {event(5, 2), event(3, 3)}), IsEmpty())
      << "an event without turns overlaps nothing";
}

TEST(LabelFindings, NameAnswersBeforeTheFirstQuestion) {
  const json asked = {{{"content", "And now?"}, {"time", 9}}, {{"content", "When?"}, {"time", 6}}};
  EXPECT_THAT(
      collect_findings(asked, {moment(6), event(2, 4), moment(5)}),
      ElementsAre(Pair(Finding::kEarlyAnswer,
                       "response[1]: answers at turn 4, the first question comes at turn 5"),
                  Pair(Finding::kEarlyAnswer,
                       "response[2]: answers at turn 4, the first question comes at turn 5")));
  // At 2 a second, 2.5 s is the 5th turn, number 4; the question without a time stands on turn 0.
  EXPECT_THAT(
      collect_findings({{{"content", "When?"}, {"time", "3.5"}}}, json::array({moment("2.5")}), 2),
      ElementsAre(Pair(Finding::kEarlyAnswer,
                       "response[0]: answers at turn 4, the first question comes at turn "
                       "6")));
  EXPECT_THAT(collect_findings({{{"content", "When?"}}}, json::array({moment(1)})), IsEmpty());
}

Conversation make_conversation(const std::vector<std::pair<const char*, const char*>>& turns) {
  Conversation conversation;
  conversation.messages.push_back({"system", "Watch."});
  for (const auto& [user, assistant] : turns) {
    conversation.messages.push_back({"user", user});
    conversation.messages.push_back({"assistant", assistant});
  }
  return conversation;
}

TEST(LabelFindings, OfTurnsAreTheSame) {
  Findings findings;
  find_label_problems(make_conversation({{"When?\n<0s-1s>\n<stream>", "</Silence>"},
                                         {"<1s-2s>\n<stream>", "</Response> Now."}}),
                      findings);
  EXPECT_THAT(findings, IsEmpty());
  find_label_problems(make_conversation({{"<0s-1s>\n<stream>", "</Standby>"},
                                         {"<1s-2s>\n<stream>", "</Response> Now."},
                                         {"<stream>\nWhen?", "Yes."},
                                         {"<stream>", " </Silence>"}}),
                      findings);
  EXPECT_THAT(findings,
              ElementsAre(Pair(Finding::kEarlyAnswer, "turn 1: answers before anything is asked"),
                          Pair(Finding::kNoState,
                               "2 turns begin with none of </Silence>, </Standby>, </Response>, "
                               "turn 2 is the first")));
}

// A tag that nobody knows makes each turn look as if it asked something.
TEST(LabelFindings, TurnsThatAllAskAreNamed) {
  const auto findings_with = [](const std::string& before, const std::string& after) {
    Conversation conversation;
    for (int turn = 0; turn < 4; ++turn) {
      conversation.messages.push_back({"user", before + std::to_string(turn) + after});
      conversation.messages.push_back({"assistant", "</Silence>"});
    }
    Findings findings;
    find_label_problems(conversation, findings);
    return findings;
  };
  EXPECT_THAT(findings_with("Picture no. ", "\n<stream>"),
              ElementsAre(Pair(Finding::kAlwaysAsks, testing::HasSubstr("\"Picture no. 0\""))));
  EXPECT_THAT(findings_with("Time: ", " s\n<stream>"), IsEmpty());
}

}  // namespace
}  // namespace streamo::data
