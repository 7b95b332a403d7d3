// Times and fields of the raw annotation. The truth is the definition in docs/data.md, written out
// as tables.
#include "data/formats/annotation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace streamo::data {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Turn of a time at `fps`, -1: absent, -2: unreadable.
int64_t turn_of(const json& value, double fps) {
  const auto time = parse_time(value);
  if (!time) return -2;
  if (!time->has_value()) return -1;
  return turn_index(**time, fps);
}

struct TimeCase {
  json value;
  double fps;
  int64_t turn;
};

TEST(Times, NameTheTurnBeforeTheirEnd) {
  const std::vector<TimeCase> cases = {
      // JSON numbers count turns whatever the rate; their fraction is dropped.
      {0, 1, 0},
      {1, 1, 0},
      {5, 1, 4},
      {5, 2, 4},
      {5.9, 1, 4},
      {5.9, 2, 4},
      {-3, 1, 0},
      {-0.5, 1, 0},
      // Integral strings do the same.
      {"0", 1, 0},
      {"5", 1, 4},
      {"5", 2, 4},
      {" 7 ", 1, 6},
      {"+7", 1, 6},
      {"-7", 1, 0},
      {"007", 4, 6},
      // Other numeric strings are seconds: 5.5 s at 2 a second are 11 turns.
      {"5.5", 1, 4},
      {"5.5", 2, 10},
      {"5.0", 2, 9},
      {"0.9", 1, 0},
      {".5", 10, 4},
      {"5.", 2, 9},
      {"1e1", 2, 19},
      {"0.29", 100, 27},  // 0.29 * 100 is 28.999... in binary, truncated to 28
      // Clock times are seconds too.
      {"00:05", 1, 4},
      {"0:05", 2, 9},
      {"01:30", 1, 89},
      {"01:30.5", 2, 180},
      {"1:02:03", 1, 3722},
      {"01:02:03.75", 4, 14894},
      {"90:00", 1, 5399},
      {"00:00", 1, 0},
      // Absent.
      {nullptr, 1, -1},
      {"", 1, -1},
      {"  ", 1, -1},
      // No times.
      {"soon", 1, -2},
      {"5s", 1, -2},
      {"1:2:3:4", 1, -2},
      {":30", 1, -2},
      {"1:", 1, -2},
      {"-1:30", 1, -2},
      {"1.5:30", 1, -2},
      {"1:-5", 1, -2},
      {"1:1e3", 1, -2},
      {"nan", 1, -2},
      {"inf", 1, -2},
      {"0x10", 1, -2},
      {"--5", 1, -2},
      {"+-5", 1, -2},
      {true, 1, -2},
      {json::array({5}), 1, -2},
      {json::object(), 1, -2},
  };
  for (const TimeCase& c : cases) {
    EXPECT_EQ(turn_of(c.value, c.fps), c.turn) << c.value << " at " << c.fps;
  }
}

TEST(Times, HugeOnesStayNumbers) {
  for (const json& value : {json(1e308), json("1e300"), json("99999999999999999999999"),
                            json(std::numeric_limits<uint64_t>::max())}) {
    EXPECT_GT(turn_of(value, 1), int64_t{1} << 40) << value;
  }
  EXPECT_EQ(turn_of(-1e308, 1), 0);
  EXPECT_EQ(turn_of("1e999", 1), -2);
}

json valid_record() {
  return json::parse(R"({
    "video_name": "cat", "video_path": "a/cat.mp4", "task_type": "narration", "source": "home",
    "question": [{"content": "What does the cat do?", "time": "3"}],
    "response": [{"content": "It jumps.", "st_time": 2, "end_time": "00:04", "time": ""},
                 {"content": "It sleeps.", "time": 9}]})");
}

TEST(Annotations, KeepAllFields) {
  const auto annotation = parse_annotation(valid_record());
  ASSERT_TRUE(annotation) << annotation.reason();
  EXPECT_EQ(annotation->video_name, "cat");
  EXPECT_EQ(annotation->video_path, "a/cat.mp4");
  EXPECT_EQ(annotation->task_type, "narration");
  EXPECT_EQ(annotation->source, "home");
  ASSERT_EQ(annotation->questions.size(), 1u);
  EXPECT_EQ(annotation->questions[0].content, "What does the cat do?");
  ASSERT_EQ(annotation->responses.size(), 2u);
  EXPECT_TRUE(annotation->responses[0].st_time && annotation->responses[0].end_time);
  EXPECT_FALSE(annotation->responses[0].time);
  EXPECT_TRUE(annotation->responses[1].time && !annotation->responses[1].st_time);
  EXPECT_THAT(annotation->unreadable_times, IsEmpty());
}

TEST(Annotations, NeedOnlyVideoAndResponses) {
  const auto annotation = parse_annotation({{"video_path", "a.mp4"}, {"response", json::array()}});
  ASSERT_TRUE(annotation) << annotation.reason();
  EXPECT_THAT(annotation->questions, IsEmpty());
  EXPECT_THAT(annotation->responses, IsEmpty());
}

TEST(Annotations, NoteUnreadableTimesAndGoOn) {
  json record = valid_record();
  record["question"][0]["time"] = "early";
  record["response"][0]["end_time"] = "soon";
  record["response"][1]["time"] = nullptr;
  const auto annotation = parse_annotation(record);
  ASSERT_TRUE(annotation) << annotation.reason();
  EXPECT_THAT(annotation->unreadable_times, ElementsAre(HasSubstr("question[0]: time \"early\""),
                                                        HasSubstr("response[0]: end_time \"soon\""),
                                                        HasSubstr("response[1]: no time")));
}

struct FaultCase {
  std::string pointer;  // of the field to replace
  json value;           // discarded: the field is removed
  std::vector<std::string> expected;
};

TEST(Annotations, NameTheWrongField) {
  const json removed = json::value_t::discarded;
  const std::vector<FaultCase> cases = {
      {"/video_path", removed, {"\"video_path\" is missing", "video_name"}},
      {"/video_path", "", {"\"video_path\" is empty"}},
      {"/video_path", 7, {"\"video_path\" must be a string, not a number"}},
      {"/response", removed, {"\"response\" is missing"}},
      {"/response", "none", {"\"response\" must be an array, not a string"}},
      {"/response/1", "none", {"response[1]", "must be an object"}},
      {"/response/1/content", removed, {"response[1]", "\"content\" is missing"}},
      {"/response/1/content", 5, {"response[1]", "\"content\" must be a string"}},
      {"/response/1/time", removed, {"response[1]", "\"st_time\" is missing"}},
      {"/question", 5, {"\"question\" must be an array"}},
      {"/question/0/content", "<stream> now?", {"question[0]", "<stream>"}},
      {"/response/0/content", "</Silence>", {"response[0]", "</Silence>"}},
      {"/response/0/content", "a<|im_end|>b", {"response[0]", "<|im_end|>"}},
  };
  for (const FaultCase& c : cases) {
    json record = valid_record();
    const json::json_pointer pointer(c.pointer);
    if (c.value.is_discarded()) {
      record[pointer.parent_pointer()].erase(pointer.back());
    } else {
      record[pointer] = c.value;
    }
    const auto annotation = parse_annotation(record);
    ASSERT_FALSE(annotation) << c.pointer;
    for (const std::string& part : c.expected) EXPECT_THAT(annotation.reason(), HasSubstr(part));
  }
  EXPECT_THAT(parse_annotation(json::array()).reason(), HasSubstr("an array"));
}

TEST(Annotations, SuggestTheNearestField) {
  const std::vector<std::array<std::string, 3>> renamed = {{"", "video_path", "video_paths"},
                                                           {"", "response", "responses"},
                                                           {"", "question", "questions"},
                                                           {"/response/0", "st_time", "start_time"},
                                                           {"/response/1", "content", "contents"}};
  for (const auto& [parent, right, wrong] : renamed) {
    json record = valid_record();
    json& object = record[json::json_pointer(parent)];
    object[wrong] = object[right];
    object.erase(right);
    if (right == "st_time") object.erase("time");
    const auto annotation = parse_annotation(record);
    ASSERT_FALSE(annotation) << wrong;
    EXPECT_THAT(annotation.reason(), HasSubstr('"' + wrong + '"'));
    EXPECT_THAT(annotation.reason(), HasSubstr("did you mean \"" + right + "\""));
  }
}

TEST(Annotations, LeaveForeignFieldsAlone) {
  json record = valid_record();
  record["id"] = 7;
  record["response"][0]["type"] = "event";  // near "time", which may be absent
  record["response"][0].erase("time");
  EXPECT_TRUE(parse_annotation(record));
}

}  // namespace
}  // namespace streamo::data
