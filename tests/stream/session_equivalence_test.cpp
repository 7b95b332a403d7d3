// Truth: one forward pass over the whole conversation, as training makes it, with a small randomly
// initialised Qwen2.5-VL. float32 on the CPU, tolerance 1e-4 on probabilities.
#include <gtest/gtest.h>

#include "stream/small_model.h"
#include "streamo/stream/session.h"
#include "text/tokenizer_fixture.h"

namespace streamo::stream {
namespace {

using text::Message;
using text::TokenId;
using torch::Tensor;

// Probabilities of the three states before each assistant turn, from one pass over everything.
std::vector<std::array<float, 3>> of_one_forward(model::VisionLanguageModel& model,
                                                 const text::ChatFormat& format,
                                                 const std::vector<Message>& messages,
                                                 const std::vector<video::Frame>& frames) {
  const torch::NoGradGuard no_gradient;
  model::ModelInput input;
  std::vector<Tensor> patches;
  std::vector<int64_t> image_tokens;
  for (const video::Frame& frame : frames) {
    const Tensor picture =
        torch::tensor(std::vector<int64_t>(frame.rgb.begin(), frame.rgb.end()), torch::kInt64)
            .to(torch::kUInt8)
            .view({1, frame.size.height, frame.size.width, 3});
    std::vector<model::ImageGrid> grid;
    patches.push_back(model.patchify(picture, &grid));
    input.image_grid.push_back(grid.at(0));
    image_tokens.push_back(grid[0].patches() / 4);
  }
  input.pixel_values = torch::cat(patches);
  text::TokenSequence sequence;
  size_t next = 0;
  for (const Message& message : messages) {
    const auto count = static_cast<size_t>(text::count_placeholders(message.content));
    format.append(message, std::span(image_tokens).subspan(next, count), sequence);
    next += count;
  }
  const std::vector<int64_t> ids(sequence.input_ids.begin(), sequence.input_ids.end());
  input.input_ids = torch::tensor(ids, torch::kInt64);
  input.position_ids = model.position_ids(sequence.input_ids, input.image_grid, 0, nullptr);
  input.cu_seqlens = {0, static_cast<int64_t>(ids.size())};
  const Tensor logits = torch::linear(model.forward(input), model.lm_head_weight());
  std::vector<std::array<float, 3>> result;
  const auto& states = format.special().states;
  for (size_t i = 1; i < ids.size(); ++i) {
    if (sequence.labels[i] < 0 || format.special().state_index(sequence.labels[i]) < 0) continue;
    const Tensor row = logits[static_cast<int64_t>(i) - 1];
    const Tensor three = torch::stack({row[states[0]], row[states[1]], row[states[2]]});
    const Tensor probabilities = three.softmax(0);
    const float* p = probabilities.const_data_ptr<float>();
    result.push_back({p[0], p[1], p[2]});
  }
  return result;
}

TEST(SessionEquivalence, ForcedSessionEqualsOneForward) {
  const text::ChatFormat format(text::small_tokenizer());
  const auto model = small_model();
  const std::vector<Message> messages = {
      {"system", "You watch a video."},
      {"user", "Tell me when the ball crosses.\n<0s-1s>\n<stream>"},
      {"assistant", "</Silence>"},
      {"user", "<1s-2s>\n<stream>"},
      {"assistant", "</Standby>"},
      {"user", "<2s-3s>\n<image>\n<image>"},
      {"assistant", "</Response> The red ball crosses the line."},
      {"user", "When does the blue square appear?\n<3s-4s>\n<stream>"},
      {"assistant", "</Silence>"},
      {"user", "No picture."},
      {"assistant", "</Response> now"}};
  const std::vector<video::Frame> frames = {random_frame(1, 56, 84), random_frame(2, 84, 56),
                                            random_frame(3, 56, 56), random_frame(4, 112, 140),
                                            random_frame(5, 28, 28)};
  const auto expected = of_one_forward(*model, format, messages, frames);
  Session session(*model, format, {.max_answer_tokens = 5});
  session.begin(messages[0].content);
  size_t next = 0;
  ASSERT_EQ(expected.size(), 5u);
  float spread = 0;
  for (size_t turn = 0; turn < expected.size(); ++turn) {
    const Message& user = messages[1 + 2 * turn];
    const auto count = static_cast<size_t>(text::count_placeholders(user.content));
    const Round round = session.step(user.content, std::span(frames).subspan(next, count),
                                     messages[2 + 2 * turn].content);
    next += count;
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(round.probabilities[i], expected[turn][i], 1e-4) << turn << " " << i;
      spread = std::max(spread, std::abs(round.probabilities[i] - expected[0][i]));
    }
  }
  EXPECT_GT(spread, 1e-3) << "all turns look alike: the comparison says nothing";
}

TEST(SessionEquivalence, TrainingGoesOnAfterASession) {
  // A tensor the model kept from inference mode would fail in the next backward pass.
  const text::ChatFormat format(text::small_tokenizer());
  const auto model = small_model();
  Session session(*model, format);
  session.begin("Watch.");
  const std::vector<video::Frame> frame = {random_frame(1, 56, 56)};
  session.step("<stream>", frame);
  model::ModelInput input;
  input.pixel_values =
      model->patchify(torch::zeros({1, 56, 56, 3}, torch::kUInt8), &input.image_grid);
  const TokenId pad = format.special().image_pad;
  const std::vector<TokenId> ids = {1, pad, pad, pad, pad, 2};
  input.input_ids = torch::tensor(ids, torch::kInt32).to(torch::kInt64);
  input.position_ids = model->position_ids(ids, input.image_grid, 0, nullptr);
  input.cu_seqlens = {0, 6};
  EXPECT_NO_THROW(model->forward(input).sum().backward());
}

}  // namespace
}  // namespace streamo::stream
