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
  std::vector<std::string>
      unreadable_times;  // each as "response 2: end_time 'soon'": counted, not fatal
};

// "" and null are absent (nullopt inside the Result); an unreadable text is a Fault.
core::Result<std::optional<TimeValue>> parse_time(const nlohmann::json& value);

// Index of the turn that time T names: max(0, T - 1) with T the integer turn count.
int64_t turn_index(const TimeValue& time, double fps);

// A Fault names the missing or mistyped field and the nearest right one.
core::Result<Annotation> parse_annotation(const nlohmann::json& record);

}  // namespace streamo::data
