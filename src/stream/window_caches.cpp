// Opens the next window while the current one still judges, copies the shared prefix instead of
// recomputing it, and rolls caches back by length.
#include "stream/window_caches.h"

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::stream {
namespace {

using text::TokenId;
using torch::Tensor;

// The first `length` tokens of one cache into another. Buffers of closed windows are reused where
// they are large enough.
void copy_prefix(const model::KvCache& from, int64_t length, model::KvCache& to) {
  const auto copy = [length](const std::vector<Tensor>& source, std::vector<Tensor>& target) {
    target.resize(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
      if (!target[i].defined() || target[i].size(2) < length)
        target[i] = torch::empty_like(source[i]);
      target[i].slice(2, 0, length).copy_(source[i].slice(2, 0, length));
    }
  };
  copy(from.keys, to.keys);
  copy(from.values, to.values);
}

}  // namespace

WindowCaches::WindowCaches(model::VisionLanguageModel& model, const text::ChatFormat& format,
                           const data::ContextRule& rule)
    : model_(model), format_(format), rule_(rule), assistant_prompt_(format.assistant_prompt()) {
  data::check_context(rule, "context of a live session");
  begin("");
}

void WindowCaches::begin(const std::string& system_prompt) {
  while (!windows_.empty()) {
    spare_.push_back(std::move(windows_.back().cache));
    windows_.pop_back();
  }
  prefix_ = {};
  round_ = 0;
  if (!system_prompt.empty()) format_.append({"system", system_prompt}, {}, prefix_.pending);
  open_window(0);
}

void WindowCaches::jump(int64_t round) {
  STREAMO_CHECK(round >= round_ && round_ == std::min(rule_.sink_rounds, round),
                "a conversation goes on behind its sinks");
  if (round == round_) return;  // nothing is left out
  round_ = round;
  open_window(round);
  spare_.push_back(std::move(windows_.front().cache));
  windows_.pop_front();
}

// What the window judging now holds of the prefix, it holds as any window would: it came first.
void WindowCaches::open_window(int64_t first) {
  Window window{.first = first, .cache = {}, .pending = prefix_.pending};
  if (!spare_.empty()) {
    window.cache = std::move(spare_.back());
    spare_.pop_back();
  }
  if (prefix_.fed > 0) copy_prefix(windows_.front().cache, prefix_.fed, window.cache);
  window.cache.length = prefix_.fed;
  window.cache.next_position = prefix_.next_position;
  windows_.push_back(std::move(window));
}

void WindowCaches::close_full_window() {
  if (windows_.front().first >= data::window_begin(rule_, round_)) return;
  spare_.push_back(std::move(windows_.front().cache));
  windows_.pop_front();
}

void WindowCaches::note_prefix() {
  const Window& window = windows_.front();
  prefix_ = {window.cache.length, window.cache.next_position, window.pending};
}

Tensor WindowCaches::feed_turn(const UserContent& content, const SeenPictures& pictures) {
  // Windows begin at multiples of the stride. The next one opens now, while the current one still
  // judges, so it has seen the whole overlap when its turn comes.
  if (rule_.max_rounds > 0 && round_ > windows_.back().first && round_ % rule_.stride() == 0) {
    open_window(round_);
  }
  close_full_window();
  Tensor judged;
  for (Window& window : windows_) {
    const bool begins = round_ > 0 && window.first == round_;
    format_.append({"user", content(begins)}, pictures.tokens, window.pending);
    std::vector<TokenId> ids = std::move(window.pending.input_ids);
    window.pending = {};
    ids.insert(ids.end(), assistant_prompt_.begin(), assistant_prompt_.end());
    const Tensor hidden_state = feed_cache(model_, window.cache, ids, pictures);
    if (!judged.defined()) judged = hidden_state;
  }
  return judged;
}

Tensor WindowCaches::feed_said(TokenId id) {
  return feed_cache(model_, windows_.front().cache, std::span(&id, 1), {});
}

void WindowCaches::end_round(const std::string& assistant_content, std::span<const TokenId> fed) {
  for (Window& window : windows_) {
    remember(window, assistant_content, fed);
    fed = {};  // the others have not been fed what the model said
  }
  ++round_;
  // From here on every window begins with the same keys: they depend on nothing that follows, so
  // they are copied instead of computed again.
  if (round_ == rule_.sink_rounds) note_prefix();
}

// What was fed while the model spoke need not be what training shows: the tokenizer may split the
// finished text differently, and evaluation may force other words. The cache keeps the common
// prefix and is cut back behind it by its length alone (what lies beyond is overwritten). The rest
// waits for the next turn, which feeds it in the same forward pass.
void WindowCaches::remember(Window& window, const std::string& assistant_content,
                            std::span<const TokenId> fed) const {
  text::TokenSequence turn;
  turn.input_ids = {
      format_.special().im_end};  // of the turn before: makes append() join by newline
  format_.append({"assistant", assistant_content}, {}, turn);
  const auto said = std::span<const TokenId>(turn.input_ids).subspan(1 + assistant_prompt_.size());
  const auto split = std::mismatch(fed.begin(), fed.end(), said.begin(), said.end()).first;
  const auto kept = static_cast<size_t>(split - fed.begin());
  const auto taken_back = static_cast<int64_t>(fed.size() - kept);
  window.cache.length -= taken_back;
  window.cache.next_position -= taken_back;  // text tokens take one position each
  window.pending.input_ids.assign(said.begin() + static_cast<std::ptrdiff_t>(kept), said.end());
}

int64_t WindowCaches::length() const {
  const Window& window = windows_.front();
  return window.cache.length + static_cast<int64_t>(window.pending.input_ids.size());
}

int64_t WindowCaches::bytes() const {
  size_t bytes = 0;
  const auto add = [&bytes](const model::KvCache& cache) {
    for (const auto* tensors : {&cache.keys, &cache.values}) {
      for (const Tensor& tensor : *tensors) bytes += tensor.nbytes();
    }
  };
  for (const Window& window : windows_) add(window.cache);
  for (const model::KvCache& cache : spare_) add(cache);
  return static_cast<int64_t>(bytes);
}

}  // namespace streamo::stream
