// Which rounds a model sees when it judges a round: one rule for the windows of training
// (`overlong: split`), for evaluation and for the live session.
//
// A window holds the system prompt, the first `sink_rounds` of the conversation, and up to
// `max_rounds` others. When it is full, the next one begins, with the last `overlap_rounds` of it.
// The first round after the sinks then asks the open question again, unless it asks one itself, and
// positions begin at 0. So the window of a round is a function of the round's number alone, and
// what a model sees of a round is token for token the same in training and live.
//
// The reference (Streamo, arXiv 2512.21334) keeps 120 rounds.
#pragma once

#include <cstdint>
#include <string>

namespace streamo::data {

struct ContextRule {
  int64_t max_rounds = 0;      // of a window, sinks apart; 0: no limit
  int64_t overlap_rounds = 0;  // of the window before; below max_rounds
  int64_t sink_rounds = 0;     // kept from the conversation's beginning; at most stride()

  // Rounds from the beginning of a window to that of the next.
  int64_t stride() const { return max_rounds - overlap_rounds; }
  friend bool operator==(const ContextRule&, const ContextRule&) = default;
};

// 120 rounds, each new window beginning with the last 60.
inline constexpr ContextRule kReferenceContext{.max_rounds = 120, .overlap_rounds = 60};

// The rule of evaluation and of live sessions for a model that was trained with `trained`: the
// same, or where windows of training had no number of rounds, the reference. So their memory is
// bounded.
ContextRule session_context(const ContextRule& trained);

// Throws core::Error{kConfig} naming `where` for numbers that exclude each other.
void check_context(const ContextRule& rule, const std::string& where);

// The first round, sinks apart, of the window in which round `round` is judged.
int64_t window_begin(const ContextRule& rule, int64_t round);

}  // namespace streamo::data
