// The questions of a live conversation: asked for a second, open until withdrawn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "streamo/stream/session.h"

namespace streamo::stream {

class Questions {
 public:
  // Becomes part of the conversation in the first turn at or after `second`.
  QuestionId ask(std::string text, double second);
  // False when there is none of this id. `was_asked`: whether the model has seen it.
  bool withdraw(QuestionId id, bool* was_asked);
  void clear();

  // Those that are due go to this round.
  void put_due(int64_t round, double second);
  // One below the other, each with its newline and once: those asked in this round and, when a
  // window begins, before that all that are still open.
  std::string lines(int64_t round, bool begins_window) const;
  bool any_open() const;

 private:
  struct Question {
    QuestionId id;
    std::string text;
    double second;
    std::optional<int64_t> round;  // in which it was asked
  };
  std::vector<Question> questions_;  // in the order of their rounds as far as they have one
  QuestionId next_id_ = 0;
};

}  // namespace streamo::stream
