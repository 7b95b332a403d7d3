// What a live window computes is what training computes for that window, at every second of ten
// minutes. Truth: one forward pass over the whole window (data::cut_window, as `overlong: split`
// cuts it). float32 on the CPU; logits of the whole vocabulary within 1e-4 of their largest.
#include <gtest/gtest.h>

#include "data/samples/index.h"
#include "data/samples/training_example.h"
#include "stream/small_model.h"
#include "stream/window_caches.h"
#include "streamo/stream/session.h"

namespace streamo::stream {
namespace {

using text::TokenId;
using torch::Tensor;

constexpr int64_t kSeconds = 600;
constexpr int64_t kFewSeconds = 200;  // of rules that feed each turn to many windows

// Ten minutes with questions at 0, 95 and 333 s, now and then standby and answers; each second has
// a picture of its own of one visual token.
data::Sample ten_minutes() {
  data::Sample sample;
  sample.conversation.messages.push_back({"system", "You watch a video."});
  for (int64_t second = 0; second < kSeconds; ++second) {
    const char* question = second == 0     ? "Tell me when the ball crosses."
                           : second == 95  ? "When does the blue square appear?"
                           : second == 333 ? "Is it dark?"
                                           : "";
    const std::string user = data::user_content(question, second, 1);
    const std::string said = second % 50 == 49                       ? "</Response> The red ball."
                             : second % 50 > 45 || second % 37 == 36 ? "</Standby>"
                                                                     : "</Silence>";
    sample.conversation.messages.push_back({"user", user});
    sample.conversation.messages.push_back({"assistant", said});
    sample.frames.push_back(random_frame(static_cast<uint64_t>(second), 28, 28));
  }
  return sample;
}

struct Window {
  int64_t first, count, sinks;
};

// Logits [answers, V] where each answer of the window begins, from one pass over everything.
Tensor of_one_forward(model::VisionLanguageModel& model, const text::ChatFormat& format,
                      const data::Sample& whole, const Window& window) {
  const data::Example example =
      data::tokenize(data::cut_window(whole, window.first, window.count, window.sinks), format, 28);
  model::ModelInput input;
  std::vector<Tensor> patches;
  for (const video::Frame& frame : example.frames) {
    Tensor picture = torch::empty({1, frame.size.height, frame.size.width, 3}, torch::kUInt8);
    std::copy(frame.rgb.begin(), frame.rgb.end(), picture.data_ptr<uint8_t>());
    std::vector<model::ImageGrid> grid;
    patches.push_back(model.patchify(picture, &grid));
    input.image_grid.push_back(grid.at(0));
  }
  input.pixel_values = torch::cat(patches);
  const std::vector<int64_t> ids(example.input_ids.begin(), example.input_ids.end());
  input.input_ids = torch::tensor(ids, torch::kInt64);
  input.position_ids = model.position_ids(example.input_ids, input.image_grid, 0, nullptr);
  input.cu_seqlens = {0, static_cast<int64_t>(ids.size())};
  std::vector<int64_t> rows;
  for (size_t i = 0; i < example.rows.size(); ++i) {
    if (example.states[i] >= 0) rows.push_back(example.rows[i]);
  }
  const Tensor hidden = model.forward(input).index_select(0, torch::tensor(rows, torch::kInt64));
  return torch::linear(hidden, model.lm_head_weight());
}

class ContextEquivalence : public testing::Test {
 protected:
  const text::ChatFormat format_{text::small_tokenizer()};
  const std::shared_ptr<model::VisionLanguageModel> model_ = small_model(/*wide_heads=*/true);
  const data::Sample sample_ = ten_minutes();

  // Logits [kSeconds, V], second by second.
  Tensor of_the_session(const data::ContextRule& rule, int64_t seconds = kSeconds) {
    WindowCaches windows(*model_, format_, rule);
    windows.begin(sample_.conversation.messages[0].content);
    std::string last_question;
    std::vector<Tensor> logits;
    for (int64_t second = 0; second < seconds; ++second) {
      const auto turn = static_cast<size_t>(1 + 2 * second);
      const std::string user = sample_.conversation.messages[turn].content;
      const std::string question = data::extract_question(user);
      const auto content = [&](bool begins) {
        return begins && question.empty() ? last_question + "\n" + user : user;
      };
      const auto frame = std::span(sample_.frames).subspan(static_cast<size_t>(second), 1);
      const Tensor hidden = windows.feed_turn(content, look_at(*model_, frame));
      logits.push_back(torch::linear(hidden, model_->lm_head_weight()));
      windows.end_round(sample_.conversation.messages[turn + 1].content, {});
      if (!question.empty()) last_question = question;
      most_bytes_ = std::max(most_bytes_, windows.bytes());
    }
    return torch::cat(logits);
  }

  static void expect_equal(const Tensor& found, const Tensor& expected, const std::string& where) {
    ASSERT_EQ(found.sizes(), expected.sizes()) << where;
    const float scale = expected.abs().max().item<float>();
    EXPECT_LT((found - expected).abs().max().item<float>(), 1e-4F * scale) << where;
  }

  // Each second against one forward over its window.
  void expect_windows_equal(const data::ContextRule& rule, int64_t seconds = kSeconds) {
    const torch::NoGradGuard no_gradient;
    const Tensor found = of_the_session(rule, seconds);
    EXPECT_GT((found - found[0]).abs().max().item<float>(), 1e-2) << "all turns look alike";
    for (int64_t second = 0; second < seconds;) {
      const int64_t begin = data::window_begin(rule, second);
      const int64_t end = std::min(seconds, begin + rule.max_rounds);
      const int64_t sinks = std::min(rule.sink_rounds, begin);
      const Tensor expected =
          of_one_forward(*model_, format_, sample_, {begin, end - begin, sinks});
      expect_equal(found.slice(0, second, end), expected.slice(0, sinks + second - begin),
                   "window from " + std::to_string(begin));
      second = end;
    }
  }
  int64_t most_bytes_ = 0;
};

TEST_F(ContextEquivalence, WithoutAWindowEverySecondEqualsOneForward) {
  const torch::NoGradGuard no_gradient;
  expect_equal(of_the_session({}), of_one_forward(*model_, format_, sample_, {0, kSeconds, 0}),
               "ten minutes");
}

TEST_F(ContextEquivalence, OverlappingWindowsEqualAFreshForwardEach) {
  expect_windows_equal({.max_rounds = 120, .overlap_rounds = 60});
}

TEST_F(ContextEquivalence, SinksAndOddOverlapsToo) {
  expect_windows_equal({.max_rounds = 50, .overlap_rounds = 37, .sink_rounds = 13}, kFewSeconds);
  expect_windows_equal({.max_rounds = 70, .overlap_rounds = 0, .sink_rounds = 2}, kFewSeconds);
}

TEST_F(ContextEquivalence, MemoryIsThatOfTheWindows) {
  const torch::NoGradGuard no_gradient;
  of_the_session({.max_rounds = 50, .overlap_rounds = 25}, kFewSeconds);
  // Two windows of at most 50 rounds of some 30 tokens, each in a cache up to twice as large: 2
  // layers of keys and values, a head of 64 floats.
  constexpr int64_t kBytesOfAToken = 2 * 2 * 64 * 4;
  EXPECT_LE(most_bytes_, 2 * 2 * 50 * 32 * kBytesOfAToken);
}

TEST(SessionWindows, EvaluationAndTrainingCutAlike) {
  // The rounds that training learns from in each of its windows are those that a session judges in
  // the same one.
  const data::ContextRule rule{.max_rounds = 7, .overlap_rounds = 4, .sink_rounds = 2};
  const text::ChatFormat format(text::small_tokenizer());
  data::Sample sample = ten_minutes();
  const auto found = data::split_into_items(sample.conversation, std::vector<int64_t>(kSeconds, 1),
                                            0, format, {.context = rule});
  ASSERT_FALSE(found.reason.has_value());
  int64_t round = 0;
  for (const data::Item& item : found.items) {
    EXPECT_EQ(item.first_round + item.seen_rounds, round);
    for (; round < item.first_round + item.num_rounds; ++round) {
      ASSERT_EQ(item.first_round, data::window_begin(rule, round));
      ASSERT_EQ(item.sink_rounds, std::min(rule.sink_rounds, item.first_round));
    }
  }
  EXPECT_EQ(round, kSeconds);
}

}  // namespace
}  // namespace streamo::stream
