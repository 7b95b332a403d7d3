// Parses the raw format, strictly in its structure and leniently in its times: "7", 7, "1:07" and
// "0:01:07.5" all occur in published files.
#include "data/formats/annotation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/formats/json_fields.h"
#include "streamo/text/chat_format.h"
#include "text/trim.h"

namespace streamo::data {
namespace {

using core::Fault;
using core::Result;
using nlohmann::json;

const std::vector<std::string> kRecordFields = {"video_name", "video_path", "task_type",
                                                "source",     "question",   "response"};
const std::vector<std::string> kQuestionFields = {"content", "time"};
const std::vector<std::string> kResponseFields = {"content", "st_time", "end_time", "time"};

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A decimal number, the whole text; nullopt for anything else (also inf, nan, hexadecimal).
std::optional<double> parse_number(std::string_view text) {
  const bool has_sign = !text.empty() && (text.front() == '+' || text.front() == '-');
  const std::string_view digits = text.substr(has_sign ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789.") == 0) return {};
  if (text.front() == '+') text.remove_prefix(1);  // from_chars takes no plus
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

// `MM:SS[.f]` or `HH:MM:SS[.f]` in seconds.
std::optional<double> parse_clock(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t colon = 0; (colon = text.find(':')) != std::string_view::npos;) {
    parts.push_back(text.substr(0, colon));
    text.remove_prefix(colon + 1);
  }
  if (parts.empty() || parts.size() > 2) return {};
  double seconds = 0;
  for (const std::string_view part : parts) {
    if (!all_digits(part)) return {};
    seconds = 60 * (seconds + *parse_number(part));
  }
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) return {};
  const auto last = parse_number(text);
  if (!last) return {};
  return seconds + *last;
}

// Reads one time of a question or response; what is not a time is noted and counts as absent.
std::optional<TimeValue> time_field(const json& object, const char* name, const std::string& where,
                                    std::vector<std::string>& unreadable) {
  const auto field = object.find(name);
  if (field == object.end()) return {};
  Result<std::optional<TimeValue>> time = parse_time(*field);
  if (time) return *time;
  unreadable.push_back(fmt::format("{}{} {}", where, name, time.reason()));
  return {};
}

Result<std::string> content_field(const json& object, const std::vector<std::string>& known,
                                  const std::string& where) {
  if (!object.is_object()) {
    return Fault{fmt::format("{}must be an object, not {}", where, json_kind(object))};
  }
  if (!object.contains("content")) return missing_field(object, "content", known, where);
  Result<std::string> content = text_field(object, "content", where);
  if (!content) return content;
  const std::string complaint = text::complaint_about_text(*content);
  if (!complaint.empty()) return Fault{fmt::format("{}\"content\" {}", where, complaint)};
  return content;
}

Result<Question> parse_question(const json& object, const std::string& where,
                                std::vector<std::string>& unreadable) {
  Result<std::string> content = content_field(object, kQuestionFields, where);
  if (!content) return content.fault();
  return Question{*std::move(content), time_field(object, "time", where, unreadable)};
}

Result<Response> parse_response(const json& object, const std::string& where,
                                std::vector<std::string>& unreadable) {
  Result<std::string> content = content_field(object, kResponseFields, where);
  if (!content) return content.fault();
  if (!object.contains("time")) {
    // Without the other two the answer would be dropped from every sample of a misnamed dataset.
    for (const char* name : {"st_time", "end_time"}) {
      if (!object.contains(name)) return missing_field(object, name, kResponseFields, where);
    }
  }
  const size_t already_noted = unreadable.size();
  Response response{*std::move(content), time_field(object, "st_time", where, unreadable),
                    time_field(object, "end_time", where, unreadable),
                    time_field(object, "time", where, unreadable)};
  const bool has_time = response.time || (response.st_time && response.end_time);
  if (!has_time && unreadable.size() == already_noted && !response.content.empty()) {
    unreadable.push_back(where + "no time (st_time and end_time, or time)");
  }
  return response;
}

// The elements of `record[name]`, each read by `parse(element, where, unreadable)`.
template <typename T, typename Parse>
Result<std::vector<T>> parse_list(const json& record, const char* name, Parse parse,
                                  std::vector<std::string>& unreadable) {
  std::vector<T> list;
  const json& array = record.at(name);
  if (!array.is_array()) {
    return Fault{fmt::format("field \"{}\" must be an array, not {}", name, json_kind(array))};
  }
  for (size_t i = 0; i < array.size(); ++i) {
    Result<T> item = parse(array[i], fmt::format("{}[{}]: ", name, i), unreadable);
    if (!item) return item.fault();
    list.push_back(*std::move(item));
  }
  return list;
}

bool is_absent(const json& record, const char* name) {
  return !record.contains(name) || record.at(name).is_null();
}

}  // namespace

Result<std::optional<TimeValue>> parse_time(const json& value) {
  using Time = std::optional<TimeValue>;
  if (value.is_null()) return Time();
  if (value.is_number()) return Time({std::trunc(value.get<double>()), true});
  if (!value.is_string()) return Fault{json_kind(value) + " is not a time"};
  const auto& whole = value.get_ref<const std::string&>();
  const std::string_view text = text::trimmed(whole);
  if (text.empty()) return Time();
  const bool has_sign = text.front() == '-' || text.front() == '+';
  const bool integral = all_digits(text.substr(has_sign ? 1 : 0));
  if (const auto number = parse_number(text)) return Time({*number, integral});
  if (const auto seconds = parse_clock(text)) return Time({*seconds, false});
  return Fault{fmt::format("\"{}\" is not a time (7, 7.5, 1:07, 0:01:07.5)", whole.substr(0, 40))};
}

int64_t turn_index(const TimeValue& time, double fps) {
  constexpr double kLargest = 1e15;  // far beyond any video, and far from overflow
  const double turns = std::trunc(time.is_turn_count ? time.value : time.value * fps);
  return std::max<int64_t>(0, static_cast<int64_t>(std::clamp(turns, -kLargest, kLargest)) - 1);
}

Result<Annotation> parse_annotation(const json& record) {
  if (!record.is_object()) {
    return Fault{fmt::format("a record must be an object, not {}", json_kind(record))};
  }
  for (const char* name : {"video_path", "response"}) {
    if (is_absent(record, name)) return missing_field(record, name, kRecordFields, "");
  }
  Annotation annotation;
  for (const auto& [name, text] :
       {std::pair{"video_name", &annotation.video_name},
        std::pair{"video_path", &annotation.video_path},
        std::pair{"task_type", &annotation.task_type}, std::pair{"source", &annotation.source}}) {
    Result<std::string> value = name_field(record, name);
    if (!value) return value.fault();
    *text = *std::move(value);
  }
  if (annotation.video_path.empty()) return Fault{"field \"video_path\" is empty"};
  if (!is_absent(record, "question")) {
    auto questions =
        parse_list<Question>(record, "question", parse_question, annotation.unreadable_times);
    if (!questions) return questions.fault();
    annotation.questions = *std::move(questions);
  } else if (!misspelt_key(record, "question", kRecordFields).empty()) {
    return missing_field(record, "question", kRecordFields, "");
  }
  auto responses =
      parse_list<Response>(record, "response", parse_response, annotation.unreadable_times);
  if (!responses) return responses.fault();
  annotation.responses = *std::move(responses);
  return annotation;
}

}  // namespace streamo::data
