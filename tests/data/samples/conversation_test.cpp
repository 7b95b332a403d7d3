// Labels, questions and the stream format. The truth is written out turn by turn from docs/data.md:
// S silence, B standby, R response.
#include "data/samples/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace streamo::data {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Annotation make_annotation(const std::string& questions, const std::string& responses) {
  const json record = {{"video_path", "v.mp4"},
                       {"question", json::parse(questions)},
                       {"response", json::parse(responses)}};
  auto annotation = parse_annotation(record);
  EXPECT_TRUE(annotation) << annotation.reason();
  return *std::move(annotation);
}

// One letter a turn; an answer's first letter follows its R.
std::string letters(const std::vector<TurnLabel>& labels) {
  std::string text;
  for (const TurnLabel& label : labels) {
    text += "SBR"[static_cast<int>(label.state)];
    text += label.answer.substr(0, 1);
  }
  return text;
}

struct LabelCase {
  std::string name, responses;
  double fps;
  std::string expected;  // 8 turns
  size_t overwritten, out_of_range, end_before_start;
};

TEST(Labels, FollowTheRules) {
  const std::vector<LabelCase> cases = {
      {"nothing said", "[]", 1, "SSSSSSSS", 0, 0, 0},
      {"an event: turns 2..4, answered in 5", R"([{"content": "a", "st_time": 3, "end_time": 5}])",
       1, "SSBBBRaSS", 0, 0, 0},
      {"an instant", R"([{"content": "a", "time": 3}])", 1, "SSRaSSSSS", 0, 0, 0},
      {"time counts only without an event",
       R"([{"content": "a", "st_time": 1, "end_time": 1, "time": 7}])", 1, "BRaSSSSSS", 0, 0, 0},
      {"half an event and a time", R"([{"content": "a", "st_time": 1, "time": 7}])", 1, "SSSSSSRaS",
       0, 0, 0},
      {"0 and 1 are the first turn", R"([{"content": "a", "st_time": 0, "end_time": 1}])", 1,
       "BRaSSSSSS", 0, 0, 0},
      {"no text, no answer", R"([{"content": "", "st_time": 3, "end_time": 5}])", 1, "SSBBBSSS", 0,
       0, 0},
      {"a later answer takes the turn",
       R"([{"content": "a", "time": 3}, {"content": "b", "time": 3}])", 1, "SSRbSSSSS", 1, 0, 0},
      {"a later event covers an answer",
       R"([{"content": "a", "time": 3}, {"content": "b", "st_time": 2, "end_time": 4}])", 1,
       "SBBBRbSSS", 1, 0, 0},
      {"a later answer ends a standby, nothing is lost",
       R"([{"content": "b", "st_time": 2, "end_time": 4}, {"content": "a", "time": 3}])", 1,
       "SBRaBRbSSS", 0, 0, 0},
      {"the answer falls behind the end", R"([{"content": "a", "st_time": 7, "end_time": 8}])", 1,
       "SSSSSSBB", 0, 1, 0},
      {"the event goes on behind the end", R"([{"content": "a", "st_time": 7, "end_time": 99}])", 1,
       "SSSSSSBB", 0, 1, 0},
      {"without text too", R"([{"content": "", "st_time": 7, "end_time": 99}])", 1, "SSSSSSBB", 0,
       1, 0},
      {"all of it behind the end",
       R"([{"content": "a", "st_time": 50, "end_time": 60}, {"content": "b", "time": 9}])", 1,
       "SSSSSSSS", 0, 2, 0},
      {"the last turn", R"([{"content": "a", "time": 8}])", 1, "SSSSSSSRa", 0, 0, 0},
      {"the end before the start", R"([{"content": "a", "st_time": 6, "end_time": 3}])", 1,
       "SSSRaSSSS", 0, 0, 1},
      {"two a second", R"([{"content": "a", "st_time": "1.0", "end_time": "0:02"}])", 2,
       "SBBBRaSSS", 0, 0, 0},
      {"huge", R"([{"content": "a", "st_time": 1e300, "end_time": 1e308}])", 1, "SSSSSSSS", 0, 1,
       0},
  };
  for (const LabelCase& c : cases) {
    ConversionLosses losses;
    EXPECT_EQ(letters(label_turns(make_annotation("[]", c.responses), 8, c.fps, &losses)),
              c.expected)
        << c.name;
    EXPECT_EQ(losses.overwritten_answers.size(), c.overwritten) << c.name;
    EXPECT_EQ(losses.out_of_range.size(), c.out_of_range) << c.name;
    EXPECT_EQ(losses.end_before_start.size(), c.end_before_start) << c.name;
    EXPECT_EQ(losses.total(), c.overwritten + c.out_of_range + c.end_before_start) << c.name;
  }
}

// 300,000 events that span a day: 26,000 million turns, were each gone through.
TEST(Labels, ManyLongEventsAreLabelledInLinearTime) {
  Annotation annotation =
      make_annotation("[]", R"([{"content": "", "st_time": 0, "end_time": 86400}])");
  annotation.responses.assign(300'000, Response(annotation.responses[0]));
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<TurnLabel> labels = label_turns(annotation, 86'400, 1, nullptr);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(labels.back().state, text::State::kStandby);
}

TEST(Labels, LossesNameResponseAndTurn) {
  ConversionLosses losses;
  label_turns(make_annotation("[]", R"([{"content": "a", "time": 3}, {"content": "b", "time": 3},
                                      {"content": "c", "time": 20}])"),
              8, 1, &losses);
  EXPECT_THAT(losses.overwritten_answers, ElementsAre(HasSubstr("response[1]")));
  EXPECT_THAT(losses.overwritten_answers[0], HasSubstr("turn 2"));
  EXPECT_THAT(losses.out_of_range, ElementsAre(HasSubstr("response[2]: answer \"c\" at turn 19")));
}

TEST(Labels, LossesCutLongAnswersBetweenCharacters) {
  std::string text = "x";
  for (int i = 0; i < 100; ++i) text += "é";
  ConversionLosses losses;
  label_turns(make_annotation("[]", json::array({{{"content", text}, {"time", 20}}}).dump()), 8, 1,
              &losses);
  ASSERT_EQ(losses.out_of_range.size(), 1u);
  EXPECT_LT(losses.out_of_range[0].size(), 150u);
  EXPECT_NO_THROW(json(losses.out_of_range[0]).dump());  // still UTF-8
}

std::vector<std::string> user_texts(const Conversation& conversation) {
  std::vector<std::string> texts;
  for (const text::Message& message : conversation.messages) {
    if (message.role == "user") texts.push_back(message.content);
  }
  return texts;
}

TEST(TimeTag, HasTheBoundsInSeconds) {
  EXPECT_EQ(time_tag(0, 1), "<0s-1s>");
  EXPECT_EQ(time_tag(4, 1), "<4s-5s>");
  EXPECT_EQ(time_tag(3, 2), "<1.5s-2s>");
  EXPECT_EQ(time_tag(2, 10), "<0.2s-0.3s>");  // 0.1 * 3 would be 0.30000000000000004
  EXPECT_EQ(time_tag(3, 0.5), "<6s-8s>");
  EXPECT_EQ(time_tag(99999, 1), "<99999s-100000s>");
  EXPECT_EQ(user_content("What?", 3, 2), "What?\n<1.5s-2s>\n<stream>");
  EXPECT_EQ(user_content("", 4, 1), "<4s-5s>\n<stream>");
}

ConversationOptions plain_options() {
  ConversationOptions options;
  options.system_prompt = "sys";
  options.default_question = "what?";
  return options;
}

TEST(Conversations, AskAQuestionOnceInATurn) {
  const Annotation annotation = make_annotation(
      R"([{"content": "Why?", "time": 2}, {"content": "Who?\nYes\nNo", "time": 2},
          {"content": "Why?", "time": 2}, {"content": "Which?\nYes\nNo", "time": 2},
          {"content": "Who?\nYes\nNo", "time": 2}, {"content": "Why?", "time": 3}])",
      "[]");
  const Conversation conversation = build_conversation(annotation, 3, plain_options(), nullptr);
  EXPECT_THAT(user_texts(conversation),
              ElementsAre("Why?\n<0s-1s>\n<stream>",
                          "Why?\nWho?\nYes\nNo\nWhich?\nYes\nNo\n<1s-2s>\n<stream>",
                          "Why?\n<2s-3s>\n<stream>"));
}

TEST(Conversations, OfFilesAskAQuestionOnceInATurn) {
  const auto read = parse_stream_json(json::parse(R"({"videos": ["v"], "messages": [
      {"role": "user", "content": "Why?\nWho?\nWhy?\n<0s-1s>\n<stream>"},
      {"role": "assistant", "content": "</Response> No. No."}]})"));
  ASSERT_TRUE(read) << read.reason();
  EXPECT_EQ(read->messages[0].content, "Why?\nWho?\n<0s-1s>\n<stream>");
  EXPECT_EQ(read->messages[1].content, "</Response> No. No.");
}

TEST(Conversations, AreWrittenOutInFull) {
  const Annotation annotation = make_annotation(
      R"([{"content": "why?", "time": 2}])", R"([{"content": "so", "st_time": 1, "end_time": 2}])");
  const Conversation conversation = build_conversation(annotation, 4, plain_options(), nullptr);
  EXPECT_EQ(conversation.video_path, "v.mp4");
  const auto written = to_stream_json(conversation);
  EXPECT_EQ(json::parse(written.dump()), json::parse(R"({"messages": [
      {"role": "system", "content": "sys"},
      {"role": "user", "content": "why?\n<0s-1s>\n<stream>"},
      {"role": "assistant", "content": "</Standby>"},
      {"role": "user", "content": "why?\n<1s-2s>\n<stream>"},
      {"role": "assistant", "content": "</Standby>"},
      {"role": "user", "content": "<2s-3s>\n<stream>"},
      {"role": "assistant", "content": "</Response> so"},
      {"role": "user", "content": "<3s-4s>\n<stream>"},
      {"role": "assistant", "content": "</Silence>"}], "videos": ["v.mp4"]})"));
}

TEST(Conversations, PlaceQuestions) {
  const auto texts = [](const std::string& questions, ConversionLosses* losses) {
    return user_texts(
        build_conversation(make_annotation(questions, "[]"), 3, plain_options(), losses));
  };
  ConversionLosses losses;
  EXPECT_THAT(texts("[]", &losses),
              ElementsAre("what?\n<0s-1s>\n<stream>", "<1s-2s>\n<stream>", "<2s-3s>\n<stream>"));
  EXPECT_EQ(texts(R"([{"content": "a"}])", &losses)[0], "a\n<0s-1s>\n<stream>");
  EXPECT_EQ(texts(R"([{"content": "", "time": 1}])", &losses)[0], "what?\n<0s-1s>\n<stream>");
  // Turn 0 has its own: the later ones stay where they are.
  EXPECT_THAT(texts(R"([{"content": "b", "time": 3}, {"content": "a", "time": "0"}])", &losses),
              ElementsAre("a\n<0s-1s>\n<stream>", "<1s-2s>\n<stream>", "b\n<2s-3s>\n<stream>"));
  // It has none: it gets the first of the file, which also stays.
  EXPECT_THAT(texts(R"([{"content": "b", "time": 3}, {"content": "a", "time": 2}])", &losses),
              ElementsAre("b\n<0s-1s>\n<stream>", "a\n<1s-2s>\n<stream>", "b\n<2s-3s>\n<stream>"));
  EXPECT_EQ(texts(R"([{"content": "b", "time": 1}, {"content": "a", "time": 1}])", &losses)[0],
            "b\na\n<0s-1s>\n<stream>");
  EXPECT_EQ(losses.total(), 0u);
  EXPECT_EQ(texts(R"([{"content": "late", "time": 9}])", &losses)[0], "late\n<0s-1s>\n<stream>");
  EXPECT_THAT(losses.out_of_range, ElementsAre(HasSubstr("question[0]: \"late\" at turn 8")));
}

TEST(Conversations, PassUnreadableTimesOn) {
  ConversionLosses losses;
  build_conversation(make_annotation("[]", R"([{"content": "a", "time": "soon"}])"), 3,
                     plain_options(), &losses);
  EXPECT_THAT(losses.unreadable_times, ElementsAre(HasSubstr("soon")));
}

TEST(Conversations, PromptAndQuestionCanBeLeftOut) {
  ConversationOptions options;
  EXPECT_EQ(options.system_prompt, default_system_prompt());
  for (const std::string_view state : text::kStateTokens) {
    EXPECT_THAT(default_system_prompt(), HasSubstr(std::string(state)));
  }
  options.system_prompt = options.default_question = "";
  const Conversation conversation =
      build_conversation(make_annotation("[]", "[]"), 1, options, nullptr);
  ASSERT_EQ(conversation.messages.size(), 2u);
  EXPECT_EQ(conversation.messages[0].content, "<0s-1s>\n<stream>");
}

TEST(StreamFormat, ReadsWhatItWrites) {
  Annotation annotation = make_annotation(R"([{"content": "wo? \"ü\" 猫", "time": 2}])",
                                          R"([{"content": "da", "time": 3}])");
  annotation.video_name = "n";
  annotation.task_type = "t";
  annotation.source = "s";
  const Conversation conversation = build_conversation(annotation, 4, plain_options(), nullptr);
  const json written = json::parse(to_stream_json(conversation).dump());
  const auto read = parse_stream_json(written);
  ASSERT_TRUE(read) << read.reason();
  EXPECT_EQ(to_stream_json(*read), to_stream_json(conversation));
  EXPECT_EQ(written["video_name"], "n");
  EXPECT_EQ(written["task_type"], "t");
  EXPECT_EQ(written["source"], "s");
}

json stream_record() {
  return json::parse(R"({"messages": [{"role": "system", "content": "sys"},
    {"role": "user", "content": "a\n<image>"}, {"role": "assistant", "content": "</Silence>"},
    {"role": "user", "content": "<image><image>"}], "images": ["0.png", "1.png", "2.png"]})");
}

TEST(StreamFormat, ReadsImagesAndAnOpenTurn) {
  const auto conversation = parse_stream_json(stream_record());
  ASSERT_TRUE(conversation) << conversation.reason();
  EXPECT_THAT(conversation->image_paths, ElementsAre("0.png", "1.png", "2.png"));
  EXPECT_THAT(conversation->video_path, IsEmpty());
  EXPECT_EQ(conversation->messages.size(), 4u);
}

TEST(StreamFormat, APromptMayNameTheStates) {
  json record = stream_record();
  record["messages"][0]["content"] = "Say </Silence>, </Standby> or </Response>.";
  record["messages"][2]["content"] = "</Response> A dog.";
  EXPECT_TRUE(parse_stream_json(record));
}

TEST(StreamFormat, NamesWhatIsWrong) {
  struct Case {
    std::string pointer;
    json value;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"/messages", 5, "\"messages\" must be an array"},
      {"/messages", json::array(), "no <stream> or <image>"},
      {"/messages/1/role", "usr", "messages[1]: role \"usr\" where \"user\" belongs"},
      {"/messages/2/role", "user", "messages[2]: role \"user\" where \"assistant\" belongs"},
      {"/messages/0/role", "assistant", "messages[0]: role \"assistant\" where \"user\""},
      {"/messages/2/content", "<image>", "messages[2]: the assistant's text holds <image>"},
      {"/messages/2/content", "</Response> a </Standby>", "the assistant's text holds </Standby>"},
      {"/messages/2/content", "</Silence><|im_end|>", "the assistant's text holds <|im_end|>"},
      {"/messages/0/content", "one <image> each", "messages[0]: the system's text holds <image>"},
      {"/messages/0/content", "<|im_start|>", "messages[0]: the system's text holds <|im_start|>"},
      {"/messages/1/content", "<|vision_start|><image>", "the user's text holds <|vision_start|>"},
      {"/messages/1/content", "</Silence>\n<image>", "the user's text holds </Silence>"},
      {"/messages/1/content", "<video>\n<image>", "the user's text holds <video>"},
      {"/messages/1/content", "Is it <image>?\n<0s-1s>\n<image>", "the user's text holds <image>"},
      {"/messages/1/content", "<stream>", "both <stream> and <image>"},
      {"/messages/1/content", 5, "messages[1]: field \"content\" must be a string"},
      {"/messages/1", {{"role", "user"}}, "messages[1]: field \"content\" is missing"},
      {"/images", json::array(), "\"images\" is empty"},
      {"/images", json::array({""}), "not an empty string"},
      {"/images", 5, "must be an array of paths"},
  };
  for (const Case& c : cases) {
    json record = stream_record();
    record[json::json_pointer(c.pointer)] = c.value;
    const auto conversation = parse_stream_json(record);
    ASSERT_FALSE(conversation) << c.pointer << c.value;
    EXPECT_THAT(conversation.reason(), HasSubstr(c.expected));
  }
  json record = stream_record();
  record["image"] = record["images"];
  record.erase("images");
  EXPECT_THAT(parse_stream_json(record).reason(), HasSubstr("did you mean \"images\""));
  record = {{"messages", json::array({{{"role", "user"}, {"content", "<stream>"}}})},
            {"videos", {"a", "b"}}};
  EXPECT_THAT(parse_stream_json(record).reason(), HasSubstr("2 paths"));
}

}  // namespace
}  // namespace streamo::data
