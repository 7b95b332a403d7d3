// Questions and windows of a live session. Truth: the tokens that a scripted model was fed, read
// back as text; for withdrawn questions, a session in which they were never asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream/scripted_model.h"
#include "stream/small_model.h"
#include "streamo/stream/session.h"

namespace streamo::stream {
namespace {

using testing::HasSubstr;
using testing::Not;
using text::State;

class LiveSession : public testing::Test {
 protected:
  const text::Tokenizer& tokenizer_ = text::small_tokenizer();
  text::ChatFormat format_{tokenizer_};
  Script script_;

  ScriptedModel model_that_says(const std::vector<std::string>& answers) {
    script_ = make_script(format_, answers);
    return {tokenizer_.vocab_size(), follow(format_, script_)};
  }
  std::string held(const ScriptedModel& model) const {
    return tokenizer_.decode(model.held(), /*skip_special=*/true);
  }
  static video::Frame frame(int64_t index) {
    video::Frame frame = random_frame(static_cast<uint64_t>(index), 28, 28);
    frame.index = index;
    return frame;
  }
};

TEST_F(LiveSession, AQuestionIsAskedInItsSecondAndNotBefore) {
  ScriptedModel model = model_that_says({"</Response> a", "</Response> b", "</Response> c"});
  Session session(model, format_);
  session.begin("Watch.");
  session.ask("When is it red?", 1.5);
  EXPECT_EQ(session.push(frame(0)).state, State::kSilence) << "nobody has asked anything";
  EXPECT_EQ(session.push(frame(1)).state, State::kSilence);
  EXPECT_THAT(held(model), Not(HasSubstr("red")));
  const Round asked = session.push(frame(2));
  EXPECT_EQ(asked.state, State::kResponse);
  EXPECT_EQ(asked.answer, "c");
  EXPECT_THAT(held(model), HasSubstr("When is it red?\n<2s-3s>\n"));
}

TEST_F(LiveSession, OpenQuestionsAreAskedAgainWhereAWindowBegins) {
  ScriptedModel model = model_that_says(std::vector<std::string>(9, "</Silence>"));
  Session session(model, format_, {.context = {.max_rounds = 4, .overlap_rounds = 2}});
  session.begin("Watch.");
  session.ask("When is it red?");
  session.ask("Who comes?", 1);
  const QuestionId withdrawn = session.ask("Is it late?", 1);
  session.ask("Not yet.", 1000);
  for (int64_t second = 0; second < 4; ++second) session.push(frame(second));
  EXPECT_TRUE(session.withdraw(withdrawn));
  EXPECT_FALSE(session.withdraw(withdrawn));
  session.push(frame(4));  // the window from 2 on judges; the model is fed the one from 4 last
  EXPECT_EQ(held(model).find("late"), std::string::npos);
  EXPECT_THAT(held(model), HasSubstr("When is it red?\nWho comes?\n<4s-5s>\n"));
  EXPECT_THAT(held(model), Not(HasSubstr("<3s-4s>")));
  EXPECT_THAT(held(model), Not(HasSubstr("Not yet.")));
}

TEST_F(LiveSession, TheSameQuestionTwiceIsAskedOnce) {
  ScriptedModel model = model_that_says(std::vector<std::string>(3, "</Silence>"));
  Session session(model, format_, {.context = {.max_rounds = 2, .overlap_rounds = 0}});
  session.begin("Watch.");
  session.ask("When is it red?");
  session.ask("Who comes?");
  const QuestionId again = session.ask("When is it red?");
  session.push(frame(0));
  EXPECT_THAT(held(model), HasSubstr("user\nWhen is it red?\nWho comes?\n<0s-1s>"));
  EXPECT_TRUE(session.withdraw(again));  // the other one is still open
  session.push(frame(1));
  session.push(frame(2));
  EXPECT_THAT(held(model), HasSubstr("user\nWhen is it red?\nWho comes?\n<2s-3s>"));
}

TEST_F(LiveSession, FramesMayBeLeftOutButNotGoBack) {
  ScriptedModel model = model_that_says(std::vector<std::string>(3, "</Silence>"));
  Session session(model, format_);
  session.begin("");
  session.push(frame(3));
  session.push(frame(7));
  EXPECT_THAT(held(model), HasSubstr("<7s-8s>"));
  EXPECT_THROW(session.push(frame(7)), core::Error);
}

TEST_F(LiveSession, AnAnswerComesPieceByPiece) {
  ScriptedModel model = model_that_says({"</Response> the red ball"});
  Session session(model, format_);
  session.begin("");
  session.ask("What?");
  std::vector<std::string> pieces;
  const Round round =
      session.push(frame(0), [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_GE(pieces.size(), 2U);
  std::string whole;
  for (const std::string& piece : pieces) whole += piece;
  EXPECT_EQ(whole, " the red ball");
  EXPECT_EQ(round.answer, "the red ball");
}

// Probabilities of speaking from second `withdrawn_at` on; the question asked at 2 s, if it is
// asked, is withdrawn then.
std::vector<float> played(model::VisionLanguageModel& model, const text::ChatFormat& format,
                          const SessionOptions& options, bool ask, int64_t withdrawn_at) {
  Session session(model, format, options);
  session.begin("Watch.");
  session.ask("When is it red?");
  const QuestionId other = ask ? session.ask("Who comes?", 2) : -1;
  std::vector<float> probabilities;
  for (int64_t second = 0; second < 30; ++second) {
    if (ask && second == withdrawn_at) EXPECT_TRUE(session.withdraw(other));
    video::Frame frame = random_frame(static_cast<uint64_t>(second), 28, 56);
    frame.index = second;
    const Round round = session.push(frame);
    if (second >= withdrawn_at) probabilities.push_back(round.probabilities[2]);
  }
  return probabilities;
}

TEST_F(LiveSession, AWithdrawnQuestionIsAsIfItHadNotBeenAsked) {
  const auto model = small_model();
  // Never speaks: what is said would differ while the question stands.
  const Thresholds mute{.response = 2.0F, .standby = 2.0F};
  for (const data::ContextRule& context :
       {data::ContextRule{}, data::ContextRule{.max_rounds = 6, .overlap_rounds = 3},
        data::ContextRule{.max_rounds = 8, .overlap_rounds = 4, .sink_rounds = 3}}) {
    const SessionOptions options{.context = context, .thresholds = mute};
    for (const int64_t second : {4, 11, 17}) {
      const auto without = played(*model, format_, options, false, second);
      const auto withdrawn = played(*model, format_, options, true, second);
      ASSERT_EQ(without.size(), withdrawn.size());
      for (size_t i = 0; i < without.size(); ++i) EXPECT_NEAR(without[i], withdrawn[i], 1e-5);
    }
  }
}

TEST_F(LiveSession, SampledAnswersFollowTheirSeed) {
  const auto model = small_model();
  const auto answer = [&](uint64_t seed, double temperature) {
    Session session(*model, format_,
                    {.max_answer_tokens = 12,
                     .sampling = {.temperature = temperature, .seed = seed},
                     .thresholds = {.response = 0.0F, .standby = {}}});
    session.begin("Watch.");
    session.ask("What?");
    return session.push(frame(0)).answer;
  };
  EXPECT_EQ(answer(1, 1.0), answer(1, 1.0));
  EXPECT_NE(answer(1, 1.0), answer(2, 1.0));
  EXPECT_EQ(answer(1, 0.0), answer(2, 0.0));
}

}  // namespace
}  // namespace streamo::stream
