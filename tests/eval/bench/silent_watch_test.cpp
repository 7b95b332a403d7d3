// Truth: the conversation as training lays it out, in one forward pass over all of it, token by
// token without a cache; a small random Qwen2.5-VL, float32, the same tokens exactly.
#include "eval/bench/silent_watch.h"

#include <gtest/gtest.h>

#include "stream/small_model.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

using text::TokenId;
using torch::Tensor;

constexpr int64_t kMaxTokens = 6;

// Silent turns for all but the last of `frames`, the question in the last one.
std::string answer_of_whole_conversation(model::VisionLanguageModel& model,
                                         const text::ChatFormat& format,
                                         const std::vector<video::Frame>& frames,
                                         const std::string& question) {
  const torch::NoGradGuard no_gradient;
  text::TokenSequence sequence;
  format.append({"system", "You watch."}, {}, sequence);
  model::ModelInput input;
  std::vector<Tensor> patches;
  for (size_t i = 0; i < frames.size(); ++i) {
    const Tensor picture =
        torch::tensor(frames[i].rgb).view({1, frames[i].size.height, frames[i].size.width, 3});
    std::vector<model::ImageGrid> grid;
    patches.push_back(model.patchify(picture, &grid));
    input.image_grid.push_back(grid[0]);
    const bool last = i + 1 == frames.size();
    const std::string tag = "<" + std::to_string(i) + "s-" + std::to_string(i + 1) + "s>\n<stream>";
    format.append({"user", (last ? question + "\n" : "") + tag}, {{grid[0].patches() / 4}},
                  sequence);
    if (!last) format.append({"assistant", "</Silence>"}, {}, sequence);
  }
  input.pixel_values = torch::cat(patches);
  std::vector<TokenId> ids = sequence.input_ids, said;
  for (const TokenId id : format.assistant_prompt()) ids.push_back(id);
  ids.push_back(format.special().states[2]);
  while (static_cast<int64_t>(said.size()) < kMaxTokens) {
    input.input_ids = torch::tensor(std::vector<int64_t>(ids.begin(), ids.end()));
    input.position_ids = model.position_ids(ids, input.image_grid, 0, nullptr);
    input.cu_seqlens = {0, static_cast<int64_t>(ids.size())};
    const Tensor logits = torch::linear(model.forward(input)[-1], model.lm_head_weight());
    const auto next = static_cast<TokenId>(logits.argmax().item<int64_t>());
    if (format.tokenizer().decode(std::vector<TokenId>{next}, true).empty()) break;
    said.push_back(next);
    ids.push_back(next);
  }
  return std::string(text::trimmed(format.tokenizer().decode(said, true)));
}

TEST(SilentWatch, AnswersAsTheWholeConversationWould) {
  const text::ChatFormat format(text::small_tokenizer());
  const auto model = stream::small_model();
  std::vector<video::Frame> frames;
  for (uint64_t i = 0; i < 40; ++i)
    frames.push_back(stream::random_frame(i, 56, i % 2 == 0 ? 56 : 84));
  SilentWatch watch(*model, format, "You watch.", 1.0);
  const std::string question = "When does the ball cross?";
  const std::set<size_t> asked_at = {0, 3, 31, 32, 39};  // on both sides of a fed stretch
  std::set<std::string> answers;
  for (size_t i = 0; i < frames.size(); ++i) {
    if (asked_at.contains(i)) {
      const std::vector<video::Frame> shown(frames.begin(),
                                            frames.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      const std::string answer = watch.ask(question, frames[i], kMaxTokens);
      EXPECT_EQ(answer, answer_of_whole_conversation(*model, format, shown, question)) << i;
      // Nothing of it is left: the same question has the same answer.
      EXPECT_EQ(watch.ask(question, frames[i], kMaxTokens), answer);
      answers.insert(answer);
    }
    watch.watch(frames[i]);
  }
  EXPECT_GT(answers.size(), 1u) << "a model that says one thing only would prove nothing";
}

}  // namespace
}  // namespace streamo::eval
