// The published raw annotation: a question, and responses with their times, on one video.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::data {

// A time as it stands in the file. Which turn it names depends on fps: see turn_index().
struct TimeValue {
  double value = 0;  // seconds, or turns when `is_turn_count`
  bool is_turn_count =
      false;  // a JSON number or an integral string: counted in turns, not scaled by fps
};

struct Question {
  std::string content;
  std::optional<TimeValue> time;
};

struct Response {
  std::string content;
  std::optional<TimeValue> st_time, end_time, time;
};

struct Annotation {
  std::string video_name, video_path, task_type, source;
  std::vector<Question> questions;
  std::vector<Response> responses;
  // Each as `response[1]: end_time "soon" is not a time`, also an answer without any time: counted,
  // not fatal. What cannot be read counts as absent.
  std::vector<std::string> unreadable_times;
};

// "" and null are absent (nullopt inside the Result); an unreadable text is a Fault. As strings:
// `7` (turns, like a JSON number), `7.5` (seconds), `MM:SS[.f]` and `HH:MM:SS[.f]` (seconds);
// blanks around are ignored.
core::Result<std::optional<TimeValue>> parse_time(const nlohmann::json& value);

// Index of the turn that time T names: max(0, T - 1), with T the turn count, or the seconds times
// fps without their fraction.
int64_t turn_index(const TimeValue& time, double fps);

// A Fault names the missing or mistyped field and the nearest right one; also a text that holds a
// frame placeholder or a special token, which would be taken for the real one. Needed: `video_path`
// and `response` (may be []). No `question`: the default question is asked.
core::Result<Annotation> parse_annotation(const nlohmann::json& record);

}  // namespace streamo::data
