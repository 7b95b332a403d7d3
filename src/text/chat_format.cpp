// Builds ids and labels piece by piece; text that spells a reserved token is cut behind its "<" so
// that it cannot become one.
#include "streamo/text/chat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "streamo/core/error.h"

namespace streamo::text {
namespace {

constexpr std::string_view kAssistant = "assistant";

// Tokens that only this file may write. The states are not among them: assistants speak in them.
constexpr std::array<std::string_view, 7> kReserved = {
    kEndOfText, kImStart, kImEnd, kVisionStart, kVisionEnd, kImagePad, kVideoPad};

struct Match {
  size_t position = std::string_view::npos, length = 0;
};

template <size_t N>
Match find_first(std::string_view text, const std::array<std::string_view, N>& needles,
                 size_t start) {
  Match best;
  for (const std::string_view needle : needles) {
    const size_t position = text.find(needle, start);
    if (position < best.position) best = {position, needle.size()};
  }
  return best;
}

void push(TokenId id, bool supervised, TokenSequence& sequence) {
  sequence.input_ids.push_back(id);
  sequence.labels.push_back(supervised ? id : kIgnore);
}

void push_text(const Tokenizer& tokenizer, std::string_view text, bool supervised,
               TokenSequence& sequence) {
  // A reserved token that someone typed into a question is text like any other: as a token it could
  // end the turn or claim a picture that is not there. Cut behind its "<", it does not match.
  size_t done = 0;
  while (done < text.size()) {
    const Match reserved = find_first(text, kReserved, done);
    const size_t end =
        reserved.length == 0 ? text.size() : std::min(text.size(), reserved.position + 1);
    for (const TokenId id : tokenizer.encode(text.substr(done, end - done))) {
      push(id, supervised, sequence);
    }
    done = end;
  }
}

// Other programs' placeholder: whoever writes it means a video that would not be there.
constexpr std::string_view kVideoPlaceholder = "<video>";

}  // namespace

std::string complaint_about_text(std::string_view text, States states) {
  const auto holds = [text](std::string_view token) { return text.find(token) != text.npos; };
  const auto complaint = [&](const auto& tokens) -> std::string {
    const auto found = std::find_if(std::begin(tokens), std::end(tokens), holds);
    if (found == std::end(tokens)) return "";
    return fmt::format("holds {}, which has a meaning of its own", *found);
  };
  if (std::string what = complaint(kPlaceholders); !what.empty()) return what;
  if (std::string what = complaint(std::array{kVideoPlaceholder}); !what.empty()) return what;
  if (std::string what = complaint(kReserved); !what.empty()) return what;
  return states == States::kRefused ? complaint(kStateTokens) : "";
}

void require_plain_text(std::string_view text, core::ErrorKind kind, const std::string& where,
                        States states) {
  const std::string complaint = complaint_about_text(text, states);
  if (!complaint.empty()) {
    throw core::Error(kind, "the text " + complaint, where, "write it in other words");
  }
}

int64_t count_placeholders(std::string_view content) {
  int64_t count = 0;
  for (Match match; (match = find_first(content, kPlaceholders, 0)).length > 0; ++count) {
    content.remove_prefix(match.position + match.length);
  }
  return count;
}

std::vector<std::string> text_pieces(const Message& message) {
  std::vector<std::string> pieces = {message.role + "\n"};
  if (message.role == kAssistant) pieces.emplace_back();  // the header is what a model is given
  std::string_view content = message.content;
  for (Match match; (match = find_first(content, kPlaceholders, 0)).length > 0;) {
    pieces.back().append(content.substr(0, match.position));
    pieces.emplace_back();
    content.remove_prefix(match.position + match.length);
  }
  pieces.back().append(content);
  return pieces;
}

ChatFormat::ChatFormat(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer), special_(SpecialTokens::resolve(tokenizer)) {}

void ChatFormat::append(const Message& message, std::span<const int64_t> image_tokens,
                        TokenSequence& sequence) const {
  const bool supervised = message.role == kAssistant;
  if (!sequence.input_ids.empty()) push_text(tokenizer_, "\n", false, sequence);
  push(special_.im_start, false, sequence);

  const std::vector<std::string> texts = text_pieces(message);
  const size_t before_images = supervised ? 1 : 0;  // pieces without a picture behind them
  STREAMO_CHECK(image_tokens.size() + before_images + 1 == texts.size(),
                "pictures must be as many as placeholders");
  for (size_t i = 0; i < texts.size(); ++i) {
    push_text(tokenizer_, texts[i], supervised && i >= before_images, sequence);
    if (i < before_images || i + 1 == texts.size()) continue;
    push(special_.vision_start, false, sequence);
    for (int64_t token = 0; token < image_tokens[i - before_images]; ++token) {
      push(special_.image_pad, false, sequence);
    }
    push(special_.vision_end, false, sequence);
  }
  push(special_.im_end, supervised, sequence);
  sequence.num_images += static_cast<int64_t>(image_tokens.size());
}

std::vector<TokenId> ChatFormat::assistant_prompt() const {
  TokenSequence sequence;
  push_text(tokenizer_, "\n", false, sequence);
  push(special_.im_start, false, sequence);
  push_text(tokenizer_, fmt::format("{}\n", kAssistant), false, sequence);
  return std::move(sequence.input_ids);
}

}  // namespace streamo::text
