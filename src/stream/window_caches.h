// The key-value caches of a live conversation: one for each window that the next rounds belong to.
//
// Windows overlap, so a round may belong to two: the one that judges it, and the one that will
// judge the rounds after that is full. Each token is fed to both as it comes. So nothing is
// recomputed when the window slides, no second costs more than another, and what each cache holds
// is token for token, position for position, what training shows for that window. The price is a
// second pass through the decoder (not the vision tower) while there are two, and their memory.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "stream/feed_cache.h"
#include "streamo/data/context_window.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"

namespace streamo::stream {

class WindowCaches {
 public:
  // Text of a round's user message, in a window that begins with it or in one that does not.
  using UserContent = std::function<std::string(bool begins_window)>;

  WindowCaches(model::VisionLanguageModel& model, const text::ChatFormat& format,
               const data::ContextRule& rule);

  // Forgets everything.
  void begin(const std::string& system_prompt);
  // Goes on at round `round` with a new window, after the sinks (which have been fed, or none).
  void jump(int64_t round);

  // The user's turn, up to the place where the model speaks. The hidden state there in the window
  // that judges, [1, H].
  torch::Tensor feed_turn(const UserContent& content, const SeenPictures& pictures);
  // One of the tokens that the model says, to the window that judges. The hidden state behind it.
  torch::Tensor feed_said(text::TokenId id);
  // Ends the round: makes `assistant_content` the turn's answer. `fed`: the ids of feed_said(),
  // of which those that training would not show for this content are taken back.
  void end_round(const std::string& assistant_content, std::span<const text::TokenId> fed);

  int64_t round() const { return round_; }                         // the next, from 0
  int64_t oldest_round() const { return windows_.front().first; }  // in the window, sinks apart
  int64_t length() const;                                          // tokens of that window
  int64_t bytes() const;                                           // of all caches

 private:
  struct Window {
    int64_t first = 0;  // its first round, sinks apart
    model::KvCache cache;
    text::TokenSequence pending;  // said, but not yet fed
  };
  struct Prefix {  // what all windows begin with: system prompt and sinks
    int64_t fed = 0, next_position = 0;
    text::TokenSequence pending;
  };
  void open_window(int64_t first);
  void close_full_window();
  void note_prefix();
  void remember(Window& window, const std::string& assistant_content,
                std::span<const text::TokenId> fed) const;

  model::VisionLanguageModel& model_;
  const text::ChatFormat& format_;
  data::ContextRule rule_;
  std::vector<text::TokenId> assistant_prompt_;
  std::deque<Window> windows_;         // by their first rounds; the first one judges
  std::vector<model::KvCache> spare_;  // of closed windows: their memory is used again
  Prefix prefix_;
  int64_t round_ = 0;
};

}  // namespace streamo::stream
