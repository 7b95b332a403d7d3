// Turns event times into one state a turn: standby while an event lasts, the response in the turn
// after its end. What cannot be placed goes into the losses.
#include "data/samples/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "data/check/shorten.h"

namespace streamo::data {
namespace {

// Writes the labels of one response after the other and notes what it could not write.
class Labeller {
 public:
  Labeller(int64_t num_turns, double fps, ConversionLosses& losses)
      : labels_(static_cast<size_t>(num_turns)), fps_(fps), losses_(losses) {
    for (int64_t turn = 0; turn < num_turns; ++turn) not_standby_.insert(turn);
  }

  void add(const Response& response, size_t number) {
    name_ = fmt::format("response[{}]", number);
    if (response.st_time && response.end_time) {
      add_event(response);
    } else if (response.time && !response.content.empty()) {
      answer(turn_index(*response.time, fps_), response.content);
    }
  }

  std::vector<TurnLabel> take() { return std::move(labels_); }

 private:
  int64_t num_turns() const { return static_cast<int64_t>(labels_.size()); }

  void add_event(const Response& response) {
    const int64_t start = turn_index(*response.st_time, fps_);
    const int64_t end = turn_index(*response.end_time, fps_);
    if (end < start) {
      losses_.end_before_start.push_back(fmt::format(
          "{}: ends at turn {}, before its start at turn {}: no standby", name_, end, start));
    }
    stand_by(start, end);
    if (!response.content.empty()) {
      answer(end + 1, response.content);
    } else if (end >= num_turns()) {
      losses_.out_of_range.push_back(
          fmt::format("{}: ends at turn {}, the video has {}", name_, end, num_turns()));
    }
  }

  void answer(int64_t turn, const std::string& content) {
    if (turn >= num_turns()) {
      losses_.out_of_range.push_back(fmt::format("{}: answer {} at turn {}, the video has {}",
                                                 name_, shorten(content), turn, num_turns()));
      return;
    }
    put(turn, {text::State::kResponse, content});
    not_standby_.insert(turn);
  }

  // A turn that stands by already is not looked at again: a million events that span a day would
  // else be a hundred thousand million steps.
  void stand_by(int64_t start, int64_t end) {
    auto turn = not_standby_.lower_bound(start);
    while (turn != not_standby_.end() && *turn <= end) {
      put(*turn, {text::State::kStandby, ""});
      turn = not_standby_.erase(turn);
    }
  }

  void put(int64_t turn, TurnLabel label) {
    TurnLabel& old = labels_[static_cast<size_t>(turn)];
    if (old.state == text::State::kResponse) {
      losses_.overwritten_answers.push_back(
          fmt::format("{}: takes turn {} from the answer {}", name_, turn, shorten(old.answer)));
    }
    old = std::move(label);
  }

  std::vector<TurnLabel> labels_;
  std::set<int64_t> not_standby_;  // turns
  double fps_;
  ConversionLosses& losses_;
  std::string name_;
};

void append_line(std::string& text, const std::string& line) {
  if (!text.empty()) text += '\n';
  text += line;
}

// The question text of each turn, "" where none is asked.
std::vector<std::string> place_questions(const Annotation& annotation, int64_t num_turns,
                                         const ConversationOptions& options,
                                         ConversionLosses& losses) {
  std::vector<std::string> by_turn(static_cast<size_t>(num_turns));
  std::set<std::pair<int64_t, std::string>> asked;  // a question is asked once in a turn
  const std::string* first = nullptr;
  for (size_t i = 0; i < annotation.questions.size(); ++i) {
    const Question& question = annotation.questions[i];
    if (question.content.empty()) continue;
    if (first == nullptr) first = &question.content;
    const int64_t turn = question.time ? turn_index(*question.time, options.fps) : 0;
    if (turn >= num_turns) {
      losses.out_of_range.push_back(fmt::format("question[{}]: {} at turn {}, the video has {}", i,
                                                shorten(question.content), turn, num_turns));
      continue;
    }
    if (!asked.emplace(turn, question.content).second) continue;
    append_line(by_turn[static_cast<size_t>(turn)], question.content);
  }
  for (std::string& questions : by_turn) questions = without_repeats(questions);
  if (!by_turn.empty() && by_turn[0].empty()) {
    by_turn[0] = first != nullptr ? *first : options.default_question;
  }
  return by_turn;
}

std::string assistant_content(const TurnLabel& label) {
  std::string content(text::state_token(label.state));
  if (label.state == text::State::kResponse) content += ' ' + label.answer;
  return content;
}

}  // namespace

std::string default_system_prompt() {
  return "You watch a video while it is being played. Its frames reach you one after the other, "
         "each with the time it covers, such as <4s-5s>. The user's questions may come at any "
         "time, and you judge after every frame whether the moment to speak has come. Begin each "
         "of your turns with one of three states. </Silence>: what is seen has nothing to do with "
         "the question, or nothing that matters has begun. </Standby>: something that matters is "
         "going on, but it has not ended or does not yet allow an answer; keep watching. "
         "</Response>: what was asked for is complete or can now be answered; the state is "
         "followed by the answer. Say only what the frames so far have shown, and give each answer "
         "once, in full, as soon as it is known.";
}

std::string default_question() {
  return "Describe what happens in the video, event by event.";
}

size_t ConversionLosses::total() const {
  return overwritten_answers.size() + out_of_range.size() + unreadable_times.size() +
         end_before_start.size() + truncated.size();
}

std::vector<TurnLabel> label_turns(const Annotation& annotation, int64_t num_turns, double fps,
                                   ConversionLosses* losses) {
  ConversionLosses ignored;
  Labeller labeller(num_turns, fps, losses != nullptr ? *losses : ignored);
  for (size_t i = 0; i < annotation.responses.size(); ++i) {
    labeller.add(annotation.responses[i], i);
  }
  return labeller.take();
}

int64_t num_placeholders(const Conversation& conversation) {
  int64_t count = 0;
  for (const text::Message& message : conversation.messages) {
    count += text::count_placeholders(message.content);
  }
  return count;
}

std::optional<core::Fault> check_num_frames(const Conversation& conversation, int64_t frames,
                                            const std::string& of) {
  const int64_t placeholders = num_placeholders(conversation);
  if (std::abs(frames - placeholders) <= 1) return std::nullopt;
  return core::Fault{fmt::format("{} frames of {} for {} placeholders", frames, of, placeholders)};
}

Conversation build_conversation(const Annotation& annotation, int64_t num_turns,
                                const ConversationOptions& options, ConversionLosses* losses) {
  ConversionLosses ignored;
  if (losses == nullptr) losses = &ignored;
  losses->unreadable_times.insert(losses->unreadable_times.end(),
                                  annotation.unreadable_times.begin(),
                                  annotation.unreadable_times.end());
  const std::vector<std::string> questions =
      place_questions(annotation, num_turns, options, *losses);
  const std::vector<TurnLabel> labels = label_turns(annotation, num_turns, options.fps, losses);

  Conversation conversation;
  conversation.video_path = annotation.video_path;
  conversation.video_name = annotation.video_name;
  conversation.task_type = annotation.task_type;
  conversation.source = annotation.source;
  if (!options.system_prompt.empty()) {
    conversation.messages.push_back({"system", options.system_prompt});
  }
  for (int64_t turn = 0; turn < num_turns; ++turn) {
    conversation.messages.push_back(
        {"user", user_content(questions[static_cast<size_t>(turn)], turn, options.fps)});
    conversation.messages.push_back(
        {"assistant", assistant_content(labels[static_cast<size_t>(turn)])});
  }
  return conversation;
}

}  // namespace streamo::data
