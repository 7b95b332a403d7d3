// ChatML as Qwen2.5-VL has it: `<|im_start|>role\ncontent<|im_end|>`, turns joined by a newline.
//
// Supervised is each assistant turn's content and its <|im_end|>, nothing else; the text ends at
// the last <|im_end|>. One code path serves training (whole conversations) and live inference
// (piece by piece).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "streamo/text/tokenizer.h"

namespace streamo::text {

// Label of an unsupervised position, as Hugging Face has it.
inline constexpr TokenId kIgnore = -100;

// Each stands for the next frame in a message: of a video, or a picture of its own.
inline constexpr std::string_view kStreamPlaceholder = "<stream>", kImagePlaceholder = "<image>";
inline constexpr std::array kPlaceholders = {kStreamPlaceholder, kImagePlaceholder};

struct Message {
  std::string role;     // system | user | assistant
  std::string content;  // with placeholders
};

struct TokenSequence {
  std::vector<TokenId> input_ids;  // [L]
  std::vector<TokenId> labels;     // [L], input_ids[i], or kIgnore where unsupervised
  int64_t num_images = 0;
};

class ChatFormat {
 public:
  explicit ChatFormat(const Tokenizer& tokenizer);

  // Appends one message. `image_tokens`: visual tokens of each placeholder in it, in order; their
  // number must be the number of placeholders (STREAMO_CHECK). Text pieces between special tokens
  // are tokenized apart.
  void append(const Message& message, std::span<const int64_t> image_tokens,
              TokenSequence& sequence) const;
  // What a live session feeds before the model speaks: "\n<|im_start|>assistant\n".
  std::vector<TokenId> assistant_prompt() const;

  const SpecialTokens& special() const { return special_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  const Tokenizer& tokenizer_;
  SpecialTokens special_;
};

// The texts of a message, each tokenized apart: the role with its newline and the content, cut at
// its placeholders. The header of an assistant's turn is a piece of its own.
std::vector<std::string> text_pieces(const Message& message);

// Why a text that somebody wrote may not enter a conversation, "" when it may: it holds a frame
// placeholder or a token of the chat format, which would be taken for a picture that is not there
// or end the turn. A prompt may name the three states; elsewhere they are decisions.
enum class States { kNamed, kRefused };
std::string complaint_about_text(std::string_view text, States states = States::kRefused);
// Throws core::Error{kind} with it; `where` names the setting or option.
void require_plain_text(std::string_view text, core::ErrorKind kind, const std::string& where,
                        States states = States::kRefused);

// Number of frame placeholders in a message's content.
int64_t count_placeholders(std::string_view content);

}  // namespace streamo::text
