// The stream format: a complete conversation with `videos` or `images`.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/brief.h"
#include "data/formats/json_fields.h"
#include "data/samples/conversation.h"
#include "data/samples/training_example.h"

namespace streamo::data {
namespace {

using core::Fault;
using core::Result;
using nlohmann::json;

const std::vector<std::string> kStreamFields = {"messages",   "videos",    "images",
                                                "video_name", "task_type", "source"};
const std::vector<std::string> kMessageFields = {"role", "content"};

int64_t count_occurrences(std::string_view text, std::string_view part) {
  int64_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) {
    ++count;
  }
  return count;
}

// Pictures stand in a user's text only, states at the beginning of an assistant's; a system prompt
// names them.
std::string complaint_about(const text::Message& message) {
  std::string_view content = message.content;
  if (message.role == "system") return text::complaint_about_text(content, text::States::kNamed);
  if (message.role == "assistant") {
    if (const auto state = text::leading_state(content)) {
      content.remove_prefix(text::state_token(*state).size());
    }
    return text::complaint_about_text(content);
  }
  // Above the time tag a placeholder is a word of the question, and would take the picture's place.
  if (std::string complaint =
          text::complaint_about_text(text_above_tag(message.content).value_or(""));
      !complaint.empty()) {
    return complaint;
  }
  for (const std::string& piece : text::text_pieces(message)) {
    if (std::string complaint = text::complaint_about_text(piece); !complaint.empty()) {
      return complaint;
    }
  }
  return "";
}

Result<text::Message> parse_message(const json& object, const std::string& where) {
  if (!object.is_object()) {
    return Fault{fmt::format("{}must be an object, not {}", where, json_kind(object))};
  }
  for (const char* name : {"role", "content"}) {
    if (!object.contains(name)) return missing_field(object, name, kMessageFields, where);
  }
  Result<std::string> role = text_field(object, "role", where);
  if (!role) return role.fault();
  Result<std::string> content = text_field(object, "content", where);
  if (!content) return content.fault();
  if (*role == "user") *content = without_repeats(*content);
  return text::Message{*std::move(role), *std::move(content)};
}

// The role that belongs at a place: an optional system message, then user and assistant in turn.
std::string expected_role(size_t index, bool has_system) {
  return (index + (has_system ? 1 : 0)) % 2 == 0 ? "user" : "assistant";
}

Result<std::vector<text::Message>> parse_messages(const json& array) {
  if (!array.is_array()) {
    return Fault{fmt::format("field \"messages\" must be an array, not {}", json_kind(array))};
  }
  std::vector<text::Message> messages;
  for (size_t i = 0; i < array.size(); ++i) {
    const std::string where = fmt::format("messages[{}]: ", i);
    Result<text::Message> message = parse_message(array[i], where);
    if (!message) return message.fault();
    const bool has_system = i > 0 && messages[0].role == "system";
    const bool is_system = i == 0 && message->role == "system";
    if (const std::string role = expected_role(i, has_system);
        !is_system && message->role != role) {
      return Fault{fmt::format("{}role \"{}\" where \"{}\" belongs", where,
                               core::brief(message->role), role)};
    }
    if (const std::string complaint = complaint_about(*message); !complaint.empty()) {
      return Fault{fmt::format("{}the {}'s text {}", where, message->role, complaint)};
    }
    messages.push_back(*std::move(message));
  }
  return messages;
}

// The paths of `videos` or `images`: an array of strings, or one string. Empty when absent.
Result<std::vector<std::string>> parse_paths(const json& record, const char* name) {
  std::vector<std::string> paths;
  const auto field = record.find(name);
  if (field == record.end() || field->is_null()) return paths;
  const json list = field->is_string() ? json::array({*field}) : *field;
  if (!list.is_array()) {
    return Fault{
        fmt::format("field \"{}\" must be an array of paths, not {}", name, json_kind(list))};
  }
  for (const json& path : list) {
    if (!path.is_string() || path.get_ref<const std::string&>().empty()) {
      return Fault{fmt::format("field \"{}\" must hold paths, not {}", name,
                               path.is_string() ? "an empty string" : json_kind(path))};
    }
    paths.push_back(path.get<std::string>());
  }
  return paths;
}

struct PlaceholderCounts {
  int64_t streams = 0, images = 0;
};

Result<PlaceholderCounts> count_frames(const std::vector<text::Message>& messages) {
  PlaceholderCounts counts;
  for (const text::Message& message : messages) {
    counts.streams += count_occurrences(message.content, text::kStreamPlaceholder);
    counts.images += count_occurrences(message.content, text::kImagePlaceholder);
  }
  if (counts.streams > 0 && counts.images > 0) {
    return Fault{"both <stream> and <image> placeholders, use one of them"};
  }
  if (counts.streams + counts.images == 0) return Fault{"no <stream> or <image> placeholder"};
  return counts;
}

Result<Conversation> attach_pictures(Conversation conversation, const json& record) {
  const Result<PlaceholderCounts> counts = count_frames(conversation.messages);
  if (!counts) return counts.fault();
  const char* name = counts->streams > 0 ? "videos" : "images";
  Result<std::vector<std::string>> paths = parse_paths(record, name);
  if (!paths) return paths.fault();
  if (paths->empty()) {
    if (record.contains(name)) return Fault{fmt::format("field \"{}\" is empty", name)};
    return missing_field(record, name, kStreamFields, "");
  }
  if (counts->images > 0) {
    conversation.image_paths = *std::move(paths);
  } else if (paths->size() == 1) {
    conversation.video_path = std::move(paths->front());
  } else {
    return Fault{fmt::format("field \"videos\" holds {} paths, a conversation is about one video",
                             paths->size())};
  }
  return conversation;
}

}  // namespace

nlohmann::ordered_json to_stream_json(const Conversation& conversation) {
  nlohmann::ordered_json record;
  record["messages"] = nlohmann::ordered_json::array();
  for (const text::Message& message : conversation.messages) {
    record["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  if (conversation.image_paths.empty()) {
    record["videos"] = nlohmann::ordered_json::array({conversation.video_path});
  } else {
    record["images"] = conversation.image_paths;
  }
  for (const auto& [name, text] : {std::pair{"video_name", &conversation.video_name},
                                   std::pair{"task_type", &conversation.task_type},
                                   std::pair{"source", &conversation.source}}) {
    if (!text->empty()) record[name] = *text;
  }
  return record;
}

Result<Conversation> parse_stream_json(const json& record) {
  if (!record.is_object()) {
    return Fault{fmt::format("a record must be an object, not {}", json_kind(record))};
  }
  if (!record.contains("messages")) return missing_field(record, "messages", kStreamFields, "");
  Result<std::vector<text::Message>> messages = parse_messages(record.at("messages"));
  if (!messages) return messages.fault();
  Conversation conversation;
  conversation.messages = *std::move(messages);
  for (const auto& [name, text] : {std::pair{"video_name", &conversation.video_name},
                                   std::pair{"task_type", &conversation.task_type},
                                   std::pair{"source", &conversation.source}}) {
    Result<std::string> value = name_field(record, name);
    if (!value) return value.fault();
    *text = *std::move(value);
  }
  return attach_pictures(std::move(conversation), record);
}

}  // namespace streamo::data
