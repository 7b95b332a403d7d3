// The tokens with a meaning of their own: chat frame, vision placeholders, and the three states.
#pragma once

#include <array>
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

std::vector<std::string> special_token_strings();  // all of the above, in the order of their ids

struct SpecialTokens {
  TokenId end_of_text, im_start, im_end, vision_start, vision_end, image_pad;
  std::array<TokenId, kNumStates> states;

  // Throws core::Error{kModel} when one of them is not a single token, naming it and what it splits
  // into.
  static SpecialTokens resolve(const Tokenizer& tokenizer);
  // Index into kStateTokens, or -1.
  int state_index(TokenId id) const;
};

}  // namespace streamo::text
