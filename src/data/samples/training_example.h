// One sample, or a window of one, as the model sees it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/samples/sample_source.h"
#include "streamo/text/chat_format.h"

namespace streamo::data {

struct Example {
  std::string id;
  std::vector<text::TokenId> input_ids;  // [L]
  // The supervised positions: the hidden state at rows[i] predicts targets[i], which stands at
  // rows[i] + 1.
  std::vector<int64_t> rows;
  std::vector<text::TokenId> targets;
  std::vector<int> states;           // of each target: 0..2 (text::State), -1 for text
  std::vector<video::Frame> frames;  // in the order of their placeholders
};

// Rounds [first, first + count) of a conversation, after its first `sinks` (at most `first`): a
// round is a user message and the assistant's. The system prompt is kept. Round `first` asks the
// open question again (context_window.h): the last question before it, unless it asks one itself.
Conversation cut_window(const Conversation& conversation, int64_t first, int64_t count,
                        int64_t sinks = 0);
Sample cut_window(Sample sample, int64_t first, int64_t count,
                  int64_t sinks = 0);  // with its pictures
int64_t num_rounds(const Conversation& conversation);
// Of the rounds before `round`: the number of its first picture.
int64_t placeholders_before(const Conversation& conversation, int64_t round);

// Visual tokens of a picture: one for each square of `token_side` pixels (28).
int64_t image_tokens(video::FrameSize size, int64_t token_side);

// Pictures must be as many as placeholders (STREAMO_CHECK).
// The answers of the first `seen_rounds` are not supervised.
Example tokenize(Sample sample, const text::ChatFormat& chat, int64_t token_side,
                 int64_t seen_rounds = 0);
// For training: a Fault when nothing is supervised.
core::Result<Example> encode_example(Sample sample, const text::ChatFormat& chat,
                                     int64_t token_side, int64_t seen_rounds = 0);

struct MessageTokens {
  int64_t all = 0, supervised = 0;
};

// Of each message as it will stand in the text (with its joining newline), for pictures of the
// given numbers of visual tokens in order.
std::vector<MessageTokens> count_message_tokens(const std::vector<text::Message>& messages,
                                                const text::ChatFormat& chat,
                                                std::span<const int64_t> image_tokens);

}  // namespace streamo::data
