// A live conversation: each second the model sees a picture and says whether it speaks.
//
//     Session session(model, format);
//     session.begin(system_prompt);
//     session.ask("When does the ball cross the line?");
//     while (const auto frame = next_frame()) {
//       const Round round = session.push(*frame);      // state, probabilities, answer
//       ...
//     }
//
// The state is the most probable of the three state tokens at the position behind the assistant
// prompt, or what the thresholds make of it. After silence and standby the format demands
// <|im_end|>; it is not asked of the model but fed together with the next turn, so that a second
// without an answer costs one forward pass.
//
// What the model sees of a round is token for token, position for position what ChatFormat makes of
// the same window of the same conversation: what training showed. The window slides by the rule of
// data/context_window.h; keys and values are kept, and no second costs more than another
// (docs/live.md).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "streamo/data/context_window.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"
#include "streamo/video/sampler.h"

namespace streamo::stream {

struct Sampling {          // of an answer's tokens; the state is never drawn
  double temperature = 0;  // 0: greedy
  double top_p = 1;        // only the most probable tokens that together have this much
  uint64_t seed = 0;       // the same seed, the same answers
};

// Least probability of a state; none: the most probable state.
struct Thresholds {
  std::optional<float> response;  // speaks from this on
  std::optional<float> standby;   // if it does not speak
};

struct SessionOptions {
  int64_t max_answer_tokens = 64;
  data::ContextRule context = data::kReferenceContext;
  double fps = 1.0;  // turns a second
  Sampling sampling = {};
  Thresholds thresholds = {};
};

struct Round {
  text::State state = text::State::kSilence;
  std::array<float, text::kNumStates> probabilities{};  // softmax over the three states' logits
  std::string answer;                                   // of a response, trimmed
};

using QuestionId = int64_t;
// Called with each piece of an answer as it comes; the pieces begin with the answer's blank.
using OnText = std::function<void(std::string_view piece)>;

// Uses `model` and `format`, which must outlive it. Several sessions may share a model, one a
// thread. A session is driven by push() or by step(), not by both.
class Session {
 public:
  // Throws core::Error{kConfig} for a context rule whose numbers exclude each other.
  Session(model::VisionLanguageModel& model, const text::ChatFormat& format,
          SessionOptions options = {});
  Session(Session&&) noexcept;
  ~Session();

  // Starts a new conversation; whatever was said or asked before is forgotten. "": no system
  // message. Here and below, core::Error{kUsage} for a text that holds a placeholder or a token of
  // the chat format (text::complaint_about_text).
  void begin(const std::string& system_prompt);

  // Asks in the first turn at or after `second` of the video; the model cannot know it before. It
  // stays open, and is asked again where a window begins, until it is withdrawn.
  QuestionId ask(std::string question, double second = 0);
  // From now on it is as if the question had not been asked (what the model said stays said): if
  // the model has seen it, the windows are computed once more without it. False when it is unknown.
  bool withdraw(QuestionId id);

  // The turn of frame number `frame.index`: questions that are due, `<4s-5s>`, the picture. Numbers
  // may be left out, never go back. While no question is open, the model listens but does not
  // speak: of silence and standby, the more probable.
  Round push(const video::Frame& frame, const OnText& on_text = {});

  // One turn of a conversation that was written before: the user's message as training has it
  // ("question\n<4s-5s>\n<stream>") and the pictures of its placeholders, as many as there are
  // (STREAMO_CHECK), sides multiples of the model's pixels_per_token_side(). The open question is
  // the last one asked, as in training.
  // `forced`: what the assistant really said ("</Silence>"). The round returned is still the
  // model's own, but the conversation goes on as if it had said that.
  Round step(const std::string& user_content, std::span<const video::Frame> frames,
             const std::optional<std::string>& forced = std::nullopt);

  int64_t length() const;       // tokens of the window so far
  int64_t cache_bytes() const;  // of all keys and values

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::stream
