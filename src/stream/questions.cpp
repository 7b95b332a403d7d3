// Assigns each question the round in which it falls due; a new window repeats those that are still
// open.
#include "stream/questions.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "data/formats/user_turn.h"

namespace streamo::stream {

QuestionId Questions::ask(std::string text, double second) {
  questions_.push_back({next_id_, std::move(text), second, {}});
  return next_id_++;
}

bool Questions::withdraw(QuestionId id, bool* was_asked) {
  const auto found = std::find_if(questions_.begin(), questions_.end(),
                                  [id](const Question& question) { return question.id == id; });
  if (found == questions_.end()) return false;
  *was_asked = found->round.has_value();
  questions_.erase(found);
  return true;
}

void Questions::clear() {
  questions_.clear();
}

void Questions::put_due(int64_t round, double second) {
  // Behind those that have their round already.
  const auto waiting =
      std::stable_partition(questions_.begin(), questions_.end(),
                            [](const Question& question) { return question.round.has_value(); });
  for (auto question = waiting; question != questions_.end(); ++question) {
    if (question->second <= second) question->round = round;
  }
}

std::string Questions::lines(int64_t round, bool begins_window) const {
  std::string lines;
  std::set<std::string_view> asked;
  for (const Question& question : questions_) {
    if (!question.round || *question.round > round) continue;
    if (*question.round != round && !begins_window) continue;
    if (asked.insert(question.text).second) lines += question.text + "\n";
  }
  return data::without_repeats(lines);
}

bool Questions::any_open() const {
  return std::any_of(questions_.begin(), questions_.end(),
                     [](const Question& question) { return question.round.has_value(); });
}

}  // namespace streamo::stream
