// The tokens with a meaning of their own: chat frame, vision placeholders, and the three states.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/text/tokenizer.h"

namespace streamo::text {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::string_view kImStart = "<|im_start|>";
inline constexpr std::string_view kImEnd = "<|im_end|>";
inline constexpr std::string_view kVisionStart = "<|vision_start|>";
inline constexpr std::string_view kVisionEnd = "<|vision_end|>";
inline constexpr std::string_view kImagePad = "<|image_pad|>";
inline constexpr std::string_view kVideoPad = "<|video_pad|>";

// What an assistant turn begins with. The order is that of all per-state arrays.
enum class State { kSilence = 0, kStandby = 1, kResponse = 2 };
inline constexpr int kNumStates = 3;
inline constexpr std::array<std::string_view, kNumStates> kStateTokens = {
    "</Silence>", "</Standby>", "</Response>"};
inline constexpr std::array<std::string_view, kNumStates> kStateNames = {"Silence", "Standby",
                                                                         "Response"};
constexpr std::string_view state_token(State state) {
  return kStateTokens[static_cast<size_t>(state)];
}
constexpr std::string_view state_name(State state) {
  return kStateNames[static_cast<size_t>(state)];
}
// What an assistant's turn begins with; none where that is no state.
std::optional<State> leading_state(std::string_view assistant_content);

std::vector<std::string> special_token_strings();  // all of the above, in the order of their ids

struct SpecialTokens {
  TokenId end_of_text, im_start, im_end, vision_start, vision_end, image_pad;
  std::array<TokenId, kNumStates> states;

  // Throws core::Error{kModel} when one of them is not a single token, naming it and what it splits
  // into.
  static SpecialTokens resolve(const Tokenizer& tokenizer);
  TokenId state_id(State state) const { return states[static_cast<size_t>(state)]; }
  // Index into kStateTokens, or -1.
  int state_index(TokenId id) const;
};

// The tokens of `wanted` that `tokenizer` lacks, in that order. Throws core::Error{kModel} like
// resolve() where a chat or vision token is missing: those a model has learnt, so it is not one of
// this kind.
std::vector<std::string> missing_special_tokens(const Tokenizer& tokenizer,
                                                const std::vector<std::string>& wanted);

// Writes the tokenizer's files of the model directory `from_dir` into `to_dir`, with `tokens` as
// new special tokens that take the ids from vocab_size() on, in order. transformers then loads the
// same ids from there. All else in the files stays byte for byte. The files are those of byte-level
// BPE: tokenizer.json, vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json and
// added_tokens.json, as far as they are there; chat templates and the model's own files are left to
// the caller. `to_dir` is complete only when the call returns: write_directory_atomic() is meant
// for that. Throws core::Error{kModel} for a tokenizer that no token can be added to
// (SentencePiece).
void add_special_tokens(const std::filesystem::path& from_dir, const std::filesystem::path& to_dir,
                        const std::vector<std::string>& tokens);

}  // namespace streamo::text
