#include "streamo/stream/session.h"

#include <algorithm>

#include "streamo/core/error.h"
#include "streamo/data/example.h"
#include "streamo/text/trim.h"

namespace streamo::stream {
namespace {

using text::TokenId;
using torch::Tensor;

Tensor to_tensor(std::span<const TokenId> ids, torch::Device device) {
  const std::vector<int64_t> wide(ids.begin(), ids.end());
  return torch::tensor(wide, torch::kInt64).to(device);
}

// A frame placeholder that the model spelled out is no picture: the answer ends within it.
std::string without_placeholder(std::string text) {
  while (text::count_placeholders(text) > 0) text.pop_back();
  return text;
}

}  // namespace

Session::Session(model::VisionLanguageModel& model, const text::ChatFormat& format,
                 SessionOptions options)
    : model_(model),
      format_(format),
      options_(options),
      assistant_prompt_(format.assistant_prompt()),
      device_(model.lm_head_weight().device()) {
  const c10::InferenceMode inference;
  const Tensor ids = to_tensor(format.special().states, device_);
  state_rows_ = model_.lm_head_weight().index_select(0, ids);
}

void Session::begin(const std::string& system_prompt) {
  cache_ = {};
  pending_ = {};
  if (!system_prompt.empty()) format_.append({"system", system_prompt}, {}, pending_);
}

Round Session::step(const std::string& user_content, std::span<const video::Frame> frames,
                    const std::optional<std::string>& forced) {
  const c10::InferenceMode inference;
  Round round = decide(feed_turn(user_content, frames));
  const std::string_view state = text::kStateTokens[static_cast<size_t>(round.state)];
  std::string said(state);
  std::vector<TokenId> fed;
  if (round.state == text::State::kResponse) {
    fed = generate(round.state);
    const std::string answer =
        without_placeholder(format_.tokenizer().decode(fed, /*skip_special=*/true));
    round.answer = text::trimmed(answer);
    said += answer;
    fed.pop_back();  // the last choice has not been fed back
  }
  remember(forced.value_or(said), fed);
  return round;
}

// Everything up to the place where the model speaks; returns the hidden state there, [1, H].
Tensor Session::feed_turn(const std::string& user_content, std::span<const video::Frame> frames) {
  std::vector<int64_t> image_tokens;
  std::vector<Tensor> patches;
  std::vector<model::ImageGrid> grid;
  for (const video::Frame& frame : frames) {
    const int64_t side = model_.pixels_per_token_side();
    STREAMO_CHECK(frame.size.height % side == 0 && frame.size.width % side == 0,
                  "pictures come in whole visual tokens");
    image_tokens.push_back(data::image_tokens(frame.size, side));
    const Tensor picture = torch::empty({1, frame.size.height, frame.size.width, 3}, torch::kUInt8);
    std::copy(frame.rgb.begin(), frame.rgb.end(), picture.data_ptr<uint8_t>());
    std::vector<model::ImageGrid> own;
    patches.push_back(model_.patchify(picture.to(device_), &own));
    grid.insert(grid.end(), own.begin(), own.end());
  }
  format_.append({"user", user_content}, image_tokens, pending_);
  std::vector<TokenId> ids = std::move(pending_.input_ids);
  pending_ = {};
  ids.insert(ids.end(), assistant_prompt_.begin(), assistant_prompt_.end());
  return feed(ids, patches.empty() ? Tensor() : torch::cat(patches), grid);
}

Tensor Session::feed(std::span<const TokenId> ids, const Tensor& pixel_values,
                     const std::vector<model::ImageGrid>& grid) {
  int64_t next_position = 0;
  model::ModelInput input;
  input.input_ids = to_tensor(ids, device_);
  input.position_ids =
      model_.position_ids(ids, grid, cache_.next_position, &next_position).to(device_);
  input.cu_seqlens = {0, static_cast<int64_t>(ids.size())};
  input.pixel_values = pixel_values;
  input.image_grid = grid;
  const Tensor hidden_states = model_.forward_cached(input, cache_);
  cache_.next_position = next_position;
  return hidden_states.slice(0, -1);
}

Round Session::decide(const Tensor& hidden_state) const {
  const Tensor logits = torch::linear(hidden_state, state_rows_).to(torch::kFloat).cpu().squeeze(0);
  const Tensor probabilities = torch::softmax(logits, 0);
  Round round;
  std::copy_n(probabilities.const_data_ptr<float>(), text::kNumStates, round.probabilities.begin());
  round.state = static_cast<text::State>(logits.argmax().item<int64_t>());
  return round;
}

// The state and the tokens chosen after it. All but the last have been fed; the last is the one
// that ended the answer: <|im_end|>, any other token without a text of its own (nothing sensible
// can follow it), or the one at the limit.
std::vector<TokenId> Session::generate(text::State state) {
  const text::Tokenizer& tokenizer = format_.tokenizer();
  std::vector<TokenId> ids = {format_.special().states[static_cast<size_t>(state)]};
  const Tensor weight = model_.lm_head_weight();
  for (int64_t i = 0; i < options_.max_answer_tokens; ++i) {
    const Tensor logits = torch::linear(feed(std::span(ids).last(1), {}, {}), weight);
    ids.push_back(static_cast<TokenId>(logits.argmax().item<int64_t>()));
    if (tokenizer.decode(std::span(ids).last(1), /*skip_special=*/true).empty()) break;
  }
  return ids;
}

// Makes `assistant_content` the turn's answer. `fed` is what the model has been fed of its own;
// what differs from the tokens that training would show for this content is taken back.
void Session::remember(const std::string& assistant_content, std::span<const TokenId> fed) {
  text::TokenSequence turn;
  turn.input_ids = {
      format_.special().im_end};  // of the turn before: makes append() join by newline
  format_.append({"assistant", assistant_content}, {}, turn);
  const auto said = std::span<const TokenId>(turn.input_ids).subspan(1 + assistant_prompt_.size());
  const auto split = std::mismatch(fed.begin(), fed.end(), said.begin(), said.end()).first;
  const auto kept = static_cast<size_t>(split - fed.begin());
  const auto taken_back = static_cast<int64_t>(fed.size() - kept);
  cache_.length -= taken_back;
  cache_.next_position -= taken_back;  // text tokens take one position each
  pending_.input_ids.assign(said.begin() + static_cast<std::ptrdiff_t>(kept), said.end());
}

}  // namespace streamo::stream
