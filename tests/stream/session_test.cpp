// Truth: the tokens ChatFormat makes of the same conversation (text_test checks those), and a model
// that answers by script. float32 on the CPU.
#include "streamo/stream/session.h"

#include <gmock/gmock.h>

#include <cmath>

#include "stream/scripted_model.h"
#include "text/tokenizer_fixture.h"

namespace streamo::stream {
namespace {

using text::Message;
using text::State;
using text::TokenId;

video::Frame grey_frame(uint8_t grey, int height = 28, int width = 56) {
  video::Frame frame;
  frame.size = {height, width};
  frame.rgb.assign(static_cast<size_t>(height) * width * 3, grey);
  return frame;
}

class SessionTest : public testing::Test {
 protected:
  const text::Tokenizer& tokenizer_ = text::small_tokenizer();
  text::ChatFormat format_{tokenizer_};
  Script script_;

  void say(const std::vector<std::string>& answers) { script_ = make_script(format_, answers); }
  ScriptedModel make_model() { return {tokenizer_.vocab_size(), follow(format_, script_)}; }
  std::vector<TokenId> training_tokens(const std::vector<Message>& messages) {
    text::TokenSequence sequence;
    for (const Message& message : messages) {
      const std::vector<int64_t> two(static_cast<size_t>(text::count_placeholders(message.content)),
                                     2);
      format_.append(message, two, sequence);
    }
    return sequence.input_ids;
  }
};

TEST_F(SessionTest, AnswersAsTheModelSays) {
  say({"</Silence>", "</Standby>", "</Response> the red ball"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("Watch.");
  const std::vector<video::Frame> frame = {grey_frame(9)};
  EXPECT_EQ(session.step("When?\n<0s-1s>\n<stream>", frame).state, State::kSilence);
  EXPECT_EQ(session.step("<1s-2s>\n<stream>", frame).state, State::kStandby);
  const Round round = session.step("<2s-3s>\n<stream>", frame);
  EXPECT_EQ(round.state, State::kResponse);
  EXPECT_EQ(round.answer, "the red ball");
  // softmax of (0, 0, kConfidence)
  const float rest = 1.0f / (2.0f + std::exp(ScriptedModel::kConfidence));
  EXPECT_NEAR(round.probabilities[0], rest, 1e-6);
  EXPECT_NEAR(round.probabilities[2], 1 - 2 * rest, 1e-6);
}

TEST_F(SessionTest, FeedsWhatTrainingShows) {
  say({"</Silence>", "</Response> the red ball", "</Standby>", "</Silence>"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("Watch.");
  const std::vector<video::Frame> frame = {grey_frame(9)};
  std::vector<Message> messages = {{"system", "Watch."}};
  for (int i = 0; i < 4; ++i) {
    const std::string user = "<" + std::to_string(i) + "s>\n<stream>";
    messages.push_back({"user", user});
    session.step(user, frame);
    std::vector<TokenId> expected = training_tokens(messages);
    const auto prompt = format_.assistant_prompt();
    expected.insert(expected.end(), prompt.begin(), prompt.end());
    ASSERT_GE(model.held().size(), expected.size());
    EXPECT_EQ(std::vector<TokenId>(model.held().begin(),
                                   model.held().begin() + static_cast<long>(expected.size())),
              expected)
        << "turn " << i;
    const auto& said = script_[static_cast<size_t>(i)];
    messages.push_back({"assistant", tokenizer_.decode(std::span(said).first(said.size() - 1))});
    EXPECT_EQ(session.length(), static_cast<int64_t>(training_tokens(messages).size()));
  }
}

TEST_F(SessionTest, ASilentSecondCostsOneForward) {
  say({"</Silence>", "</Standby>", "</Response> the", "</Silence>"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("Watch.");
  const std::vector<video::Frame> frame = {grey_frame(9)};
  const int64_t answer = static_cast<int64_t>(script_[2].size());  // its tokens and <|im_end|>
  for (const int64_t expected : {int64_t{1}, int64_t{1}, 1 + answer - 1, int64_t{1}}) {
    const int64_t before = model.forwards();
    session.step("<stream>", frame);
    EXPECT_EQ(model.forwards() - before, expected);
  }
}

TEST_F(SessionTest, PicturesReachTheModelInOrder) {
  say({"</Silence>", "</Silence>"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("");
  const std::vector<video::Frame> first = {grey_frame(10)},
                                  second = {grey_frame(50), grey_frame(70, 56, 28)};
  session.step("<stream>", first);
  session.step("<image><image>", second);
  EXPECT_THAT(model.pixel_means(), testing::ElementsAre(10.0f, 60.0f));
  EXPECT_THROW(session.step("<stream>", second), core::Error);
}

TEST_F(SessionTest, ForcedTurnsGoOnFromWhatWasForced) {
  // The model answers, but the truth was silence; then it is silent where the truth is an answer.
  say({"</Response> the red ball", "</Silence>", "</Silence>"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("Watch.");
  const std::vector<video::Frame> frame = {grey_frame(9)};
  const Round first = session.step("a<stream>", frame, "</Silence>");
  EXPECT_EQ(first.state, State::kResponse);
  EXPECT_EQ(first.answer, "the red ball");
  EXPECT_EQ(session.step("b<stream>", frame, "</Response> at the left").state, State::kSilence);
  session.step("c<stream>", frame, "</Silence>");
  std::vector<TokenId> expected = training_tokens({{"system", "Watch."},
                                                   {"user", "a<stream>"},
                                                   {"assistant", "</Silence>"},
                                                   {"user", "b<stream>"},
                                                   {"assistant", "</Response> at the left"},
                                                   {"user", "c<stream>"}});
  const auto prompt = format_.assistant_prompt();
  expected.insert(expected.end(), prompt.begin(), prompt.end());
  EXPECT_EQ(model.held(), expected);
}

TEST_F(SessionTest, AnAnswerInOddPiecesIsRememberedAsTrainingWouldSpellIt) {
  say({"</Response>", "</Silence>"});
  script_[0].pop_back();
  for (const char letter : std::string(" the ball")) {  // letter by letter: not how it is tokenized
    const auto piece = tokenizer_.encode(std::string(1, letter));
    script_[0].insert(script_[0].end(), piece.begin(), piece.end());
  }
  ASSERT_GT(script_[0].size(), tokenizer_.encode("</Response> the ball").size());
  script_[0].push_back(format_.special().im_end);
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("Watch.");
  const std::vector<video::Frame> frame = {grey_frame(9)};
  EXPECT_EQ(session.step("a<stream>", frame).answer, "the ball");
  session.step("b<stream>", frame);
  std::vector<TokenId> expected = training_tokens({{"system", "Watch."},
                                                   {"user", "a<stream>"},
                                                   {"assistant", "</Response> the ball"},
                                                   {"user", "b<stream>"}});
  const auto prompt = format_.assistant_prompt();
  expected.insert(expected.end(), prompt.begin(), prompt.end());
  EXPECT_EQ(model.held(), expected);
}

TEST_F(SessionTest, AnAnswerEndsAtItsLimitOrAtAnySpecialToken) {
  const std::vector<video::Frame> frame = {grey_frame(9)};
  say({"</Response> the red ball crosses the line", "</Silence>"});
  ScriptedModel model = make_model();
  Session limited(model, format_, {.max_answer_tokens = 2});
  limited.begin("");
  const std::string start = tokenizer_.decode(std::span(script_[0]).subspan(1, 2));
  EXPECT_EQ(" " + limited.step("a<stream>", frame).answer, start);
  EXPECT_EQ(limited.step("b<stream>", frame).state, State::kSilence);

  for (const std::string_view odd : {text::kImagePad, text::kImStart, text::kStateTokens[0]}) {
    say({"</Response> the" + std::string(odd) + "ball", "</Silence>"});
    Session session(model, format_);
    session.begin("");
    EXPECT_EQ(session.step("a<stream>", frame).answer, "the");
    EXPECT_EQ(session.step("b<stream>", frame).state, State::kSilence);
  }
}

TEST_F(SessionTest, ASpelledOutPlaceholderIsNoPicture) {
  say({"</Response> the <stream> ball", "</Silence>"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  session.begin("");
  const std::vector<video::Frame> frame = {grey_frame(9)};
  EXPECT_THAT(session.step("a<stream>", frame).answer, testing::StartsWith("the"));
  EXPECT_EQ(session.step("b<stream>", frame).state, State::kSilence);
}

TEST_F(SessionTest, BeginForgets) {
  say({"</Silence>", "</Silence>"});
  ScriptedModel model = make_model();
  Session session(model, format_);
  const std::vector<video::Frame> frame = {grey_frame(9)};
  session.begin("Watch.");
  session.step("a<stream>", frame);
  const auto held = model.held();
  session.begin("Watch.");
  session.step("a<stream>", frame);
  EXPECT_EQ(model.held(), held);
}

}  // namespace
}  // namespace streamo::stream
