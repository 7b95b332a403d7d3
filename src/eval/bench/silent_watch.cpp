// Forces </Silence> until the question, feeding turns in batches; after an answer the cache is
// rolled back by its length, so asking leaves no trace.
#include "eval/bench/silent_watch.h"

#include <algorithm>

#include "data/samples/conversation.h"
#include "data/samples/training_example.h"
#include "stream/feed_cache.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

using text::TokenId;
using torch::Tensor;

constexpr size_t kTurnsAtOnce = 32;  // in one forward pass: bounds its memory

}  // namespace

SilentWatch::SilentWatch(model::VisionLanguageModel& model, const text::ChatFormat& format,
                         const std::string& system_prompt, double fps)
    : model_(model), format_(format), fps_(fps), device_(model.lm_head_weight().device()) {
  if (!system_prompt.empty()) format_.append({"system", system_prompt}, {}, pending_.tokens);
}

void SilentWatch::watch(const video::Frame& frame) {
  const c10::InferenceMode inference;
  append_turn("", frame, pending_);
  const std::string silence(text::state_token(text::State::kSilence));
  format_.append({"assistant", silence}, {}, pending_.tokens);
  ++turn_;
  if (pending_.patches.size() >= kTurnsAtOnce) feed_all_but_last();
}

std::string SilentWatch::ask(const std::string& question, const video::Frame& frame,
                             int64_t max_tokens) {
  const c10::InferenceMode inference;
  if (!pending_.patches.empty()) feed_all_but_last();
  const int64_t length = cache_.length, next_position = cache_.next_position;
  Pending asked = pending_;
  append_turn(question, frame, asked);
  const std::vector<TokenId> prompt = format_.assistant_prompt();
  std::vector<TokenId>& ids = asked.tokens.input_ids;
  ids.insert(ids.end(), prompt.begin(), prompt.end());
  ids.push_back(format_.special().state_id(text::State::kResponse));
  std::string answer = generate(feed(asked), max_tokens);
  cache_.length = length;
  cache_.next_position = next_position;
  return answer;
}

void SilentWatch::append_turn(const std::string& question, const video::Frame& frame,
                              Pending& to) const {
  to.patches.push_back(stream::patchify_frame(model_, frame, device_, to.grid));
  const int64_t tokens = data::image_tokens(frame.size, model_.pixels_per_token_side());
  format_.append({"user", data::user_content(question, turn_, fps_)}, {{tokens}}, to.tokens);
}

Tensor SilentWatch::feed(const Pending& pending) {
  stream::SeenPictures seen{.features = {}, .grid = pending.grid, .tokens = {}};
  if (!pending.patches.empty())
    seen.features = model_.encode_images(torch::cat(pending.patches), pending.grid);
  return stream::feed_cache(model_, cache_, pending.tokens.input_ids, seen);
}

// The last token is held back: what follows it joins it by a newline, as in a whole conversation.
void SilentWatch::feed_all_but_last() {
  const TokenId last = pending_.tokens.input_ids.back();
  pending_.tokens.input_ids.pop_back();
  feed(pending_);
  pending_ = {};
  pending_.tokens.input_ids = {last};
}

std::string SilentWatch::generate(Tensor hidden_state, int64_t max_tokens) {
  const Tensor weight = model_.lm_head_weight();
  std::vector<TokenId> said;
  while (static_cast<int64_t>(said.size()) < max_tokens) {
    const Tensor logits = torch::linear(hidden_state, weight);
    const auto next = static_cast<TokenId>(logits.argmax().item<int64_t>());
    const std::vector<TokenId> one = {next};
    if (format_.tokenizer().decode(one, /*skip_special=*/true).empty()) break;  // the turn's end
    said.push_back(next);
    Pending pending;
    pending.tokens.input_ids = one;
    hidden_state = feed(pending);
  }
  return std::string(text::trimmed(format_.tokenizer().decode(said, /*skip_special=*/true)));
}

}  // namespace streamo::eval
