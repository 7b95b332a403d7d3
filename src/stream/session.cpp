// The turn loop: feed the user turn, compare three logits, decode an answer if the state is
// </Response>, and write what was said into every open window.
#include "streamo/stream/session.h"

#include <algorithm>
#include <map>

#include "data/samples/conversation.h"
#include "data/samples/training_example.h"
#include "stream/choose.h"
#include "stream/questions.h"
#include "stream/window_caches.h"
#include "streamo/core/error.h"
#include "text/trim.h"

namespace streamo::stream {
namespace {

using text::TokenId;
using torch::Tensor;

// A frame placeholder that the model spelled out is no picture: the answer ends within it.
std::string without_placeholder(std::string text) {
  while (text::count_placeholders(text) > 0) text.pop_back();
  return text;
}

// A character of several tokens is none before its last.
bool ends_within_character(std::string_view text) {
  return text.ends_with("\xEF\xBF\xBD");
}

Tensor state_rows(model::VisionLanguageModel& model, const text::SpecialTokens& special) {
  const c10::InferenceMode inference;
  const Tensor weight = model.lm_head_weight();
  const std::vector<int64_t> ids(special.states.begin(), special.states.end());
  return weight.index_select(0, torch::tensor(ids, torch::kInt64).to(weight.device()));
}

}  // namespace

struct Session::Impl {
  Impl(model::VisionLanguageModel& the_model, const text::ChatFormat& the_format,
       SessionOptions the_options)
      : model(the_model),
        format(the_format),
        options(the_options),
        rows(state_rows(the_model, the_format.special())),
        windows(the_model, the_format, the_options.context) {}

  struct Turn {          // what a window is computed again from
    std::string tagged;  // the user's message without questions
    SeenPictures pictures;
    std::string said;
  };

  Round decide(const Tensor& hidden_state, bool may_respond) const;
  std::vector<TokenId> generate(const OnText& on_text);
  Round turn(const WindowCaches::UserContent& content, const SeenPictures& pictures,
             bool may_respond, const OnText& on_text, const std::optional<std::string>& forced,
             std::string* said);
  WindowCaches::UserContent turn_content(int64_t round, const std::string& tagged) const {
    return [this, round, tagged](bool begins_window) {
      return questions.lines(round, begins_window) + tagged;
    };
  }
  void forget_old_turns();
  void recompute_windows();

  model::VisionLanguageModel& model;
  const text::ChatFormat& format;
  SessionOptions options;
  Tensor rows;  // [3, H]: of the output projection, those that name a state
  WindowCaches windows;
  std::string system_prompt;
  Questions questions;
  std::map<int64_t, Turn> turns;  // of push(), by round: those in the oldest window
  int64_t last_index = -1;        // of a frame
  std::string last_question;      // of step()
};

Session::Session(model::VisionLanguageModel& model, const text::ChatFormat& format,
                 SessionOptions options)
    : impl_(std::make_unique<Impl>(model, format, options)) {}
Session::Session(Session&&) noexcept = default;
Session::~Session() = default;

void Session::begin(const std::string& system_prompt) {
  text::require_plain_text(system_prompt, core::ErrorKind::kUsage, "the system prompt",
                           text::States::kNamed);
  impl_->system_prompt = system_prompt;
  impl_->windows.begin(system_prompt);
  impl_->questions.clear();
  impl_->turns.clear();
  impl_->last_index = -1;
  impl_->last_question.clear();
}

QuestionId Session::ask(std::string question, double second) {
  text::require_plain_text(question, core::ErrorKind::kUsage, "the question");
  return impl_->questions.ask(std::move(question), second);
}

bool Session::withdraw(QuestionId id) {
  bool was_asked = false;
  const bool known = impl_->questions.withdraw(id, &was_asked);
  // Every key and value after the question depends on it: only recomputing removes it.
  if (was_asked) impl_->recompute_windows();
  return known;
}

Round Session::push(const video::Frame& frame, const OnText& on_text) {
  const c10::InferenceMode inference;
  Impl& self = *impl_;
  STREAMO_CHECK(frame.index > self.last_index, "frames come in the order of time");
  self.last_index = frame.index;
  const int64_t round = self.windows.round();
  self.questions.put_due(round, static_cast<double>(frame.index) / self.options.fps);
  Impl::Turn turn{data::user_content("", frame.index, self.options.fps),
                  look_at(self.model, std::span(&frame, 1)),
                  {}};
  Round result = self.turn(self.turn_content(round, turn.tagged), turn.pictures,
                           self.questions.any_open(), on_text, std::nullopt, &turn.said);
  self.turns.emplace(round, std::move(turn));
  self.forget_old_turns();
  return result;
}

Round Session::step(const std::string& user_content, std::span<const video::Frame> frames,
                    const std::optional<std::string>& forced) {
  const c10::InferenceMode inference;
  Impl& self = *impl_;
  const std::string question = data::extract_question(user_content);
  const auto content = [&](bool begins_window) {
    const bool again = begins_window && question.empty() && !self.last_question.empty();
    return again ? self.last_question + "\n" + user_content : user_content;
  };
  std::string said;
  Round result = self.turn(content, look_at(self.model, frames), true, {}, forced, &said);
  if (!question.empty()) self.last_question = question;
  return result;
}

int64_t Session::length() const {
  return impl_->windows.length();
}

int64_t Session::cache_bytes() const {
  return impl_->windows.bytes();
}

Round Session::Impl::turn(const WindowCaches::UserContent& content, const SeenPictures& pictures,
                          bool may_respond, const OnText& on_text,
                          const std::optional<std::string>& forced, std::string* said) {
  Round round = decide(windows.feed_turn(content, pictures), may_respond);
  *said = text::state_token(round.state);
  std::vector<TokenId> fed;
  if (round.state == text::State::kResponse) {
    fed = generate(on_text);
    const std::string answer =
        without_placeholder(format.tokenizer().decode(fed, /*skip_special=*/true));
    round.answer = text::trimmed(answer);
    *said += answer;
    fed.pop_back();  // the last choice has not been fed back
  }
  // Teacher forcing: the model's choice is reported, the annotation's words become the history.
  if (forced) *said = *forced;
  windows.end_round(*said, fed);
  return round;
}

Round Session::Impl::decide(const Tensor& hidden_state, bool may_respond) const {
  // Three rows of the LM head instead of the whole vocabulary: no other token is compared.
  const Tensor logits = torch::linear(hidden_state, rows).to(torch::kFloat).cpu().squeeze(0);
  const Tensor probabilities = torch::softmax(logits, 0);
  Round round;
  std::copy_n(probabilities.const_data_ptr<float>(), text::kNumStates, round.probabilities.begin());
  round.state = choose_state(round.probabilities, options.thresholds, may_respond);
  return round;
}

// The state and the tokens chosen after it. All but the last have been fed; the last is the one
// that ended the answer: <|im_end|>, any other token without a text of its own (nothing sensible
// can follow it), or the one at the limit.
std::vector<TokenId> Session::Impl::generate(const OnText& on_text) {
  const text::Tokenizer& tokenizer = format.tokenizer();
  std::vector<TokenId> ids = {format.special().state_id(text::State::kResponse)};
  const Tensor weight = model.lm_head_weight();
  // A stream of random numbers per round: how many were drawn in earlier answers does not matter.
  core::Rng rng{options.sampling.seed, static_cast<uint64_t>(windows.round())};
  size_t told = 0;
  for (int64_t i = 0; i < options.max_answer_tokens; ++i) {
    const Tensor logits = torch::linear(windows.feed_said(ids.back()), weight).squeeze(0);
    ids.push_back(choose_token(logits, options.sampling, rng));
    if (tokenizer.decode(std::span(ids).last(1), /*skip_special=*/true).empty()) break;
    if (!on_text) continue;
    // All of it each time: the bytes of a character may be spread over several tokens.
    const std::string answer = tokenizer.decode(ids, /*skip_special=*/true);
    if (answer.size() <= told || ends_within_character(answer)) continue;
    on_text(std::string_view(answer).substr(told));
    told = answer.size();
  }
  return ids;
}

void Session::Impl::forget_old_turns() {
  const int64_t sinks = options.context.sink_rounds, oldest = windows.oldest_round();
  if (sinks < oldest) turns.erase(turns.lower_bound(sinks), turns.lower_bound(oldest));
}

void Session::Impl::recompute_windows() {
  const c10::InferenceMode inference;
  const int64_t oldest = windows.oldest_round();
  windows.begin(system_prompt);
  for (const auto& [round, turn] : turns) {
    // Rounds between the sinks and the oldest window were forgotten. No open window holds them.
    if (round >= oldest && windows.round() < oldest) windows.jump(oldest);
    windows.feed_turn(turn_content(round, turn.tagged), turn.pictures);
    windows.end_round(turn.said, {});
  }
}

}  // namespace streamo::stream
