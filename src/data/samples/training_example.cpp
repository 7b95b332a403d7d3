// Cuts windows out of conversations, carrying the open question over, and lists the (row, target)
// pairs the loss is computed on.
#include "data/samples/training_example.h"

#include <algorithm>
#include <iterator>

namespace streamo::data {
namespace {

using text::Message;

size_t first_user_message(const std::vector<Message>& messages) {
  const auto is_user = [](const Message& message) { return message.role == "user"; };
  return static_cast<size_t>(std::find_if(messages.begin(), messages.end(), is_user) -
                             messages.begin());
}

}  // namespace

int64_t num_rounds(const Conversation& conversation) {
  const size_t first = first_user_message(conversation.messages);
  return static_cast<int64_t>((conversation.messages.size() - first) / 2);
}

int64_t placeholders_before(const Conversation& conversation, int64_t round) {
  const std::vector<Message>& messages = conversation.messages;
  const size_t end = first_user_message(messages) + 2 * static_cast<size_t>(round);
  int64_t count = 0;
  for (size_t i = 0; i < end; ++i) count += text::count_placeholders(messages[i].content);
  return count;
}

Conversation cut_window(const Conversation& conversation, int64_t first, int64_t count,
                        int64_t sinks) {
  const std::vector<Message>& all = conversation.messages;
  const size_t head = first_user_message(all);
  const size_t begin = head + 2 * static_cast<size_t>(first);
  const size_t end = begin + 2 * static_cast<size_t>(count);
  STREAMO_CHECK(sinks >= 0 && sinks <= first && count > 0 && end <= all.size(),
                "the window lies outside the conversation");
  Conversation window = conversation;
  const size_t kept = head + 2 * static_cast<size_t>(sinks);
  window.messages.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept));
  window.messages.insert(window.messages.end(), all.begin() + static_cast<std::ptrdiff_t>(begin),
                         all.begin() + static_cast<std::ptrdiff_t>(end));
  std::string& opening = window.messages[kept].content;
  for (size_t turn = begin; extract_question(opening).empty() && turn > head; turn -= 2) {
    const std::string open_question = extract_question(all[turn - 2].content);
    if (!open_question.empty()) opening = open_question + "\n" + opening;
  }
  return window;
}

Sample cut_window(Sample sample, int64_t first, int64_t count, int64_t sinks) {
  const int64_t kept = placeholders_before(sample.conversation, sinks);
  const int64_t begin = placeholders_before(sample.conversation, first);
  const int64_t end = placeholders_before(sample.conversation, first + count);
  Sample window{sample.id, cut_window(sample.conversation, first, count, sinks), {}};
  const auto frames = std::make_move_iterator(sample.frames.begin());
  window.frames.assign(frames, frames + kept);
  window.frames.insert(window.frames.end(), frames + begin, frames + end);
  return window;
}

int64_t image_tokens(video::FrameSize size, int64_t token_side) {
  return (size.height / token_side) * (size.width / token_side);
}

Example tokenize(Sample sample, const text::ChatFormat& chat, int64_t token_side,
                 int64_t seen_rounds) {
  STREAMO_CHECK(num_placeholders(sample.conversation) == static_cast<int64_t>(sample.frames.size()),
                "every placeholder has its picture");
  std::vector<int64_t> tokens_of_frame;
  for (const video::Frame& frame : sample.frames)
    tokens_of_frame.push_back(image_tokens(frame.size, token_side));
  text::TokenSequence sequence;
  std::span<const int64_t> left = tokens_of_frame;
  const std::vector<Message>& messages = sample.conversation.messages;
  const size_t learnt_from = first_user_message(messages) + 2 * static_cast<size_t>(seen_rounds);
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto here = static_cast<size_t>(text::count_placeholders(messages[i].content));
    chat.append(messages[i], left.first(here), sequence);
    left = left.subspan(here);
    if (i + 1 == learnt_from)
      std::fill(sequence.labels.begin(), sequence.labels.end(), text::kIgnore);
  }
  Example example;
  for (size_t i = 1; i < sequence.labels.size(); ++i) {
    const text::TokenId target = sequence.labels[i];
    if (target == text::kIgnore) continue;
    example.rows.push_back(static_cast<int64_t>(i) - 1);
    example.targets.push_back(target);
    example.states.push_back(chat.special().state_index(target));
  }
  example.id = std::move(sample.id);
  example.input_ids = std::move(sequence.input_ids);
  example.frames = std::move(sample.frames);
  return example;
}

core::Result<Example> encode_example(Sample sample, const text::ChatFormat& chat,
                                     int64_t token_side, int64_t seen_rounds) {
  Example example = tokenize(std::move(sample), chat, token_side, seen_rounds);
  if (example.rows.empty())
    return core::Fault{example.id + ": nothing to learn from, no assistant turn"};
  return example;
}

std::vector<MessageTokens> count_message_tokens(const std::vector<Message>& messages,
                                                const text::ChatFormat& chat,
                                                std::span<const int64_t> image_tokens) {
  std::vector<MessageTokens> counts;
  text::TokenSequence sequence;
  for (const Message& message : messages) {
    const size_t before = sequence.input_ids.size();
    const auto here = static_cast<size_t>(text::count_placeholders(message.content));
    chat.append(message, image_tokens.first(here), sequence);
    image_tokens = image_tokens.subspan(here);
    const auto first = sequence.labels.begin() + static_cast<std::ptrdiff_t>(before);
    const int64_t unsupervised = std::count(first, sequence.labels.end(), text::kIgnore);
    const auto all = static_cast<int64_t>(sequence.input_ids.size() - before);
    counts.push_back({all, all - unsupervised});
  }
  return counts;
}

}  // namespace streamo::data
