// Heuristics on times and questions that are legal but usually a mistake: overlapping events,
// answers before the question, a new question in every turn.
#include "data/check/label_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "data/check/shorten.h"
#include "streamo/text/special_tokens.h"

namespace streamo::data {
namespace {

constexpr int64_t kTurnsThatTell = 4;  // fewer may well all be asked something

struct Event {
  size_t response;
  int64_t start, end;  // turns, both included
};

void find_negative_times(const Annotation& annotation, Findings& findings) {
  const auto check = [&](const std::optional<TimeValue>& time, const char* list, size_t i,
                         const char* name) {
    if (!time || time->value >= 0) return;
    findings.emplace_back(Finding::kNegativeTime, fmt::format("{}[{}]: {} {} counts as turn 0",
                                                              list, i, name, time->value));
  };
  for (size_t i = 0; i < annotation.questions.size(); ++i) {
    check(annotation.questions[i].time, "question", i, "time");
  }
  for (size_t i = 0; i < annotation.responses.size(); ++i) {
    const Response& response = annotation.responses[i];
    check(response.st_time, "response", i, "st_time");
    check(response.end_time, "response", i, "end_time");
    check(response.time, "response", i, "time");
  }
}

// Each event against the one before it that lasts longest.
void find_overlaps(const Annotation& annotation, double fps, Findings& findings) {
  std::vector<Event> events;
  for (size_t i = 0; i < annotation.responses.size(); ++i) {
    const Response& response = annotation.responses[i];
    if (!response.st_time || !response.end_time) continue;
    const Event event{i, turn_index(*response.st_time, fps), turn_index(*response.end_time, fps)};
    if (event.end >= event.start) events.push_back(event);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.start < b.start; });
  const Event* longest = nullptr;
  for (const Event& event : events) {
    if (longest != nullptr && event.start <= longest->end) {
      findings.emplace_back(
          Finding::kOverlappingEvents,
          fmt::format("response[{}]: its event, turns {} to {}, overlaps that of response[{}], "
                      "turns {} to {}",
                      event.response, event.start, event.end, longest->response, longest->start,
                      longest->end));
    }
    if (longest == nullptr || event.end > longest->end) longest = &event;
  }
}

std::optional<int64_t> first_question_turn(const Annotation& annotation, double fps) {
  std::optional<int64_t> first;
  for (const Question& question : annotation.questions) {
    if (question.content.empty()) continue;
    const int64_t turn = question.time ? turn_index(*question.time, fps) : 0;
    first = std::min(first.value_or(turn), turn);
  }
  return first;
}

void find_early_answers(const Annotation& annotation, int64_t num_turns, double fps,
                        Findings& findings) {
  const std::optional<int64_t> asked = first_question_turn(annotation, fps);
  if (!asked) return;  // the default question, at turn 0
  for (size_t i = 0; i < annotation.responses.size(); ++i) {
    const Response& response = annotation.responses[i];
    if (response.content.empty()) continue;
    std::optional<int64_t> turn;
    if (response.st_time && response.end_time) {
      turn = turn_index(*response.end_time, fps) + 1;
    } else if (response.time) {
      turn = turn_index(*response.time, fps);
    }
    if (!turn || *turn >= num_turns || *turn >= *asked) continue;
    findings.emplace_back(Finding::kEarlyAnswer,
                          fmt::format("response[{}]: answers at turn {}, the first question comes "
                                      "at turn {}",
                                      i, *turn, *asked));
  }
}

}  // namespace

void find_label_problems(const Annotation& annotation, int64_t num_turns, double fps,
                         Findings& findings) {
  find_negative_times(annotation, findings);
  find_overlaps(annotation, fps, findings);
  find_early_answers(annotation, num_turns, fps, findings);
}

void find_label_problems(const Conversation& conversation, Findings& findings) {
  bool asked = false;
  int64_t turn = -1, without_state = 0, first_without = -1;
  std::string first_question;
  std::set<std::string> questions;
  for (const text::Message& message : conversation.messages) {
    if (message.role == "user") {
      ++turn;
      const std::string question = extract_question(message.content);
      if (!asked) first_question = question;
      if (!question.empty()) questions.insert(question);
      asked |= !question.empty();
    } else if (message.role == "assistant") {
      const auto state = text::leading_state(message.content);
      if (!state && without_state++ == 0) first_without = turn;
      if (state == text::State::kResponse && !asked) {
        findings.emplace_back(Finding::kEarlyAnswer,
                              fmt::format("turn {}: answers before anything is asked", turn));
      }
    }
  }
  const auto different = static_cast<int64_t>(questions.size());
  if (different >= kTurnsThatTell && different == turn + 1) {
    findings.emplace_back(Finding::kAlwaysAsks,
                          fmt::format("each of {} turns asks something else, the first {}, so that "
                                      "windows carry no question of another",
                                      different, shorten(first_question)));
  }
  if (without_state > 0) {
    findings.emplace_back(Finding::kNoState,
                          fmt::format("{} turns begin with none of </Silence>, </Standby>, "
                                      "</Response>, turn {} is the first",
                                      without_state, first_without));
  }
}

void list_losses(const ConversionLosses& losses, Findings& findings) {
  const auto list = [&](Finding finding, const std::vector<std::string>& entries) {
    for (const std::string& entry : entries) findings.emplace_back(finding, entry);
  };
  list(Finding::kOutOfRange, losses.out_of_range);
  list(Finding::kEndBeforeStart, losses.end_before_start);
  list(Finding::kUnreadableTime, losses.unreadable_times);
  list(Finding::kOverwrittenAnswer, losses.overwritten_answers);
}

}  // namespace streamo::data
