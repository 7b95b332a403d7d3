// A live conversation: each second the model sees a picture and says whether it speaks.
//
// The state is the most probable of the three state tokens at the position behind the assistant
// prompt. After silence and standby the format demands <|im_end|>; it is not asked of the model but
// fed together with the next turn, so that a second without an answer costs one forward pass.
// After a response, tokens are chosen greedily.
//
// What the model has been fed is token for token what ChatFormat makes of the same conversation:
// a session sees exactly what training showed. The key-value cache grows without bound, by about
// 144 tokens a second of video at the default picture size; nothing is dropped from it.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"
#include "streamo/video/sampler.h"

namespace streamo::stream {

struct SessionOptions {
  int64_t max_answer_tokens = 64;
};

struct Round {
  text::State state = text::State::kSilence;
  std::array<float, text::kNumStates> probabilities{};  // softmax over the three states' logits
  std::string answer;                                   // of a response, trimmed
};

// Uses `model` and `format`, which must outlive it. Several sessions may share a model, one a
// thread.
class Session {
 public:
  Session(model::VisionLanguageModel& model, const text::ChatFormat& format,
          SessionOptions options = {});

  // Starts a new conversation; whatever was said before is forgotten. "": no system message.
  void begin(const std::string& system_prompt);

  // One turn: the user's message as training has it ("question\n<4s-5s>\n<stream>") and the
  // pictures of its placeholders, as many as there are (STREAMO_CHECK), sides multiples of the
  // model's pixels_per_token_side().
  // `forced`: what the assistant really said ("</Silence>"). The round returned is still the
  // model's own, but the conversation goes on as if it had said that.
  Round step(const std::string& user_content, std::span<const video::Frame> frames,
             const std::optional<std::string>& forced = std::nullopt);

  // Tokens of the conversation so far.
  int64_t length() const { return cache_.length + static_cast<int64_t>(pending_.input_ids.size()); }

 private:
  torch::Tensor feed(std::span<const text::TokenId> ids, const torch::Tensor& pixel_values,
                     const std::vector<model::ImageGrid>& grid);
  torch::Tensor feed_turn(const std::string& user_content, std::span<const video::Frame> frames);
  Round decide(const torch::Tensor& hidden_state) const;
  std::vector<text::TokenId> generate(text::State state);
  void remember(const std::string& assistant_content, std::span<const text::TokenId> fed);

  model::VisionLanguageModel& model_;
  const text::ChatFormat& format_;
  SessionOptions options_;
  std::vector<text::TokenId> assistant_prompt_;
  torch::Device device_;
  torch::Tensor state_rows_;  // [3, H]: the rows of the output projection that name a state
  model::KvCache cache_;
  text::TokenSequence pending_;  // said, but not yet fed to the model
};

}  // namespace streamo::stream
