// Windows of a conversation and its encoding. The truth of the encoding is written here by hand
// from the format's definition (`<|im_start|>role\ncontent<|im_end|>`, an assistant's content and
// its <|im_end|> supervised); only the ids of single texts come from the tokenizer.
#include "data/samples/training_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "text/tokenizer_fixture.h"

namespace streamo::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using text::Message;
using text::TokenId;

constexpr int64_t kTokenSide = 28;

const text::ChatFormat& chat() {
  static const text::ChatFormat format(text::small_tokenizer());
  return format;
}

// System, then one round for each user message; round i is answered by answer i.
Conversation make_conversation(const std::vector<std::string>& users) {
  Conversation conversation;
  conversation.messages = {{"system", "Watch."}};
  for (size_t i = 0; i < users.size(); ++i) {
    conversation.messages.push_back({"user", users[i]});
    conversation.messages.push_back({"assistant", "</Response> answer " + std::to_string(i)});
  }
  conversation.video_path = "clip.mp4";
  return conversation;
}

// Pictures whose index is their place; 1 x 2 visual tokens each, the one at `wide` 1 x 3.
std::vector<video::Frame> frames_of(int64_t count, int64_t wide = -1) {
  std::vector<video::Frame> frames(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    frames[static_cast<size_t>(i)].index = i;
    frames[static_cast<size_t>(i)].size = {28, i == wide ? 84 : 56};
  }
  return frames;
}

std::vector<int64_t> indices(const std::vector<video::Frame>& frames) {
  std::vector<int64_t> indices;
  for (const video::Frame& frame : frames) indices.push_back(frame.index);
  return indices;
}

std::vector<std::string> contents(const Conversation& conversation) {
  std::vector<std::string> contents;
  for (const Message& message : conversation.messages) contents.push_back(message.content);
  return contents;
}

const std::vector<std::string> kUsers = {"What?\n<0s-1s>\n<stream>", "<1s-2s>\n<stream>",
                                         "And now?\nWhere?\n<2s-3s>\n<stream>", "<3s-4s>\n<stream>",
                                         "<4s-5s>\n<stream>"};

TEST(Windows, KeepTheSystemPromptAndTheRounds) {
  const Conversation whole = make_conversation(kUsers);
  ASSERT_EQ(num_rounds(whole), 5);
  EXPECT_EQ(num_placeholders(whole), 5);
  const Conversation window = cut_window(whole, 2, 2);
  EXPECT_THAT(contents(window), ElementsAre("Watch.", kUsers[2], "</Response> answer 2", kUsers[3],
                                            "</Response> answer 3"));
  EXPECT_EQ(window.messages[1].role, "user");
  EXPECT_EQ(window.video_path, "clip.mp4");
  EXPECT_EQ(contents(cut_window(whole, 0, 5)), contents(whole));
}

TEST(Windows, CarryTheOpenQuestion) {
  const Conversation whole = make_conversation(kUsers);
  // The last one asked before, with all its lines; only on the window's first turn.
  EXPECT_THAT(contents(cut_window(whole, 1, 1)),
              ElementsAre("Watch.", "What?\n<1s-2s>\n<stream>", testing::_));
  const Conversation late = cut_window(whole, 3, 2);
  EXPECT_EQ(late.messages[1].content, "And now?\nWhere?\n<3s-4s>\n<stream>");
  EXPECT_EQ(late.messages[3].content, "<4s-5s>\n<stream>");
  // A turn that asks by itself gets no second question.
  EXPECT_EQ(cut_window(whole, 2, 1).messages[1].content, kUsers[2]);
}

TEST(Windows, CarryTheQuestionOfTurnsWithoutTimes) {
  const Conversation whole = make_conversation({"Which?\n<stream>", "<stream>", "<stream>"});
  EXPECT_EQ(cut_window(whole, 2, 1).messages[1].content, "Which?\n<stream>");
  const Conversation unasked = make_conversation({"<stream>", "<stream>"});
  EXPECT_EQ(cut_window(unasked, 1, 1).messages[1].content, "<stream>");
}

TEST(Windows, QuestionsMayHoldTheSignsOfATag) {
  EXPECT_EQ(extract_question("<b>How</b> many <3s>?\n<1s-2s>\n<stream>"), "<b>How</b> many <3s>?");
  EXPECT_EQ(extract_question("Which?\n<0.5s-1s>\n<stream>"), "Which?");
  EXPECT_EQ(extract_question("<1s-2s>\n<stream>"), "");
  EXPECT_EQ(extract_question("Is 2s>1s?\n<stream>"), "Is 2s>1s?");
  EXPECT_EQ(extract_question("<b>How?</b>\n<image>\n<image>"), "<b>How?</b>");
  EXPECT_EQ(extract_question("Which?"), "Which?");  // a turn without a picture
  EXPECT_EQ(extract_question("<stream>"), "");
}

TEST(Windows, TakeThePicturesOfTheirRounds) {
  const Sample whole{"s", make_conversation(kUsers), frames_of(5)};
  EXPECT_THAT(indices(cut_window(whole, 0, 5).frames), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(indices(cut_window(whole, 0, 2).frames), ElementsAre(0, 1));
  EXPECT_THAT(indices(cut_window(whole, 2, 2).frames), ElementsAre(2, 3));
  EXPECT_THAT(indices(cut_window(whole, 4, 1).frames), ElementsAre(4));
}

TEST(Windows, LeaveOutALastTurnWithoutAnswer) {
  Sample whole{"s", make_conversation(kUsers), frames_of(6)};
  whole.conversation.messages.push_back({"user", "<5s-6s>\n<stream>"});
  ASSERT_EQ(num_rounds(whole.conversation), 5);
  EXPECT_THAT(indices(cut_window(whole, 0, 5).frames), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(num_placeholders(cut_window(whole, 0, 5).conversation), 5);
  EXPECT_THAT(indices(cut_window(whole, 1, 2).frames), ElementsAre(1, 2));
  EXPECT_THAT(indices(cut_window(whole, 3, 2).frames), ElementsAre(3, 4));
}

void append(std::vector<TokenId>& ids, const std::vector<TokenId>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

TEST(Encoding, IsTheChatFormatWithTargetsOneBehindTheirRows) {
  const text::Tokenizer& tokenizer = text::small_tokenizer();
  const auto ids = [&](const std::string& text) { return tokenizer.encode(text); };
  const auto id = [&](std::string_view token) { return tokenizer.special_id(token); };

  Conversation conversation;
  conversation.messages = {{"system", "Watch."},
                           {"user", "What?\n<0s-1s>\n<stream>"},
                           {"assistant", "</Silence>"},
                           {"user", "<1s-2s>\n<stream>"},
                           {"assistant", "</Response> The red ball."}};
  std::vector<TokenId> expected, targets;
  std::vector<int64_t> rows;
  const auto supervise = [&](const std::vector<TokenId>& more) {
    for (const TokenId token : more) {
      rows.push_back(static_cast<int64_t>(expected.size()) - 1);
      targets.push_back(token);
      expected.push_back(token);
    }
  };
  const auto picture = [&](int64_t tokens) {
    expected.push_back(id("<|vision_start|>"));
    expected.insert(expected.end(), static_cast<size_t>(tokens), id("<|image_pad|>"));
    expected.push_back(id("<|vision_end|>"));
  };
  const auto open = [&](const std::string& joint, const std::string& header) {
    append(expected, ids(joint));
    expected.push_back(id("<|im_start|>"));
    append(expected, ids(header));
  };
  open("", "system\nWatch.");
  expected.push_back(id("<|im_end|>"));
  open("\n", "user\nWhat?\n<0s-1s>\n");
  picture(2);
  expected.push_back(id("<|im_end|>"));
  open("\n", "assistant\n");
  supervise({id("</Silence>"), id("<|im_end|>")});
  open("\n", "user\n<1s-2s>\n");
  picture(3);
  expected.push_back(id("<|im_end|>"));
  open("\n", "assistant\n");
  supervise({id("</Response>")});
  const std::vector<TokenId> answer = ids(" The red ball.");
  supervise(answer);
  supervise({id("<|im_end|>")});
  std::vector<int> states = {0, -1, 2};
  states.insert(states.end(), answer.size() + 1, -1);

  const auto example = encode_example({"s", conversation, frames_of(2, 1)}, chat(), kTokenSide);
  ASSERT_TRUE(example) << example.reason();
  EXPECT_EQ(example->id, "s");
  EXPECT_EQ(example->input_ids, expected);
  EXPECT_EQ(example->rows, rows);
  EXPECT_EQ(example->targets, targets);
  EXPECT_EQ(example->states, states);
  EXPECT_THAT(indices(example->frames), ElementsAre(0, 1));
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(example->input_ids[static_cast<size_t>(rows[i]) + 1], targets[i]) << i;
  }
}

TEST(Encoding, RefusesASampleWithNothingToLearn) {
  Conversation conversation;
  conversation.messages = {{"user", "<stream>"}};
  const auto example = encode_example({"file.json:7", conversation, frames_of(1)}, chat(), 28);
  ASSERT_FALSE(example);
  EXPECT_THAT(example.reason(), HasSubstr("file.json:7: nothing to learn from"));
}

TEST(Encoding, CountsVisualTokensBySquares) {
  EXPECT_EQ(image_tokens({28, 28}, 28), 1);
  EXPECT_EQ(image_tokens({56, 84}, 28), 6);
}

TEST(MessageTokens, AreThoseOfTheEncodedText) {
  const Conversation conversation = make_conversation(kUsers);
  const std::vector<int64_t> pictures = {2, 2, 3, 2, 2};
  const std::vector<MessageTokens> counts =
      count_message_tokens(conversation.messages, chat(), pictures);
  ASSERT_EQ(counts.size(), conversation.messages.size());
  // Each beginning of the conversation, encoded by itself, is as long as its messages' sum.
  for (int64_t rounds = 1; rounds <= 5; ++rounds) {
    const auto example = encode_example(
        cut_window(Sample{"s", conversation, frames_of(5, 2)}, 0, rounds), chat(), 28);
    ASSERT_TRUE(example);
    MessageTokens sum;
    for (size_t i = 0; i < 1 + 2 * static_cast<size_t>(rounds); ++i) {
      sum.all += counts[i].all;
      sum.supervised += counts[i].supervised;
    }
    EXPECT_EQ(static_cast<int64_t>(example->input_ids.size()), sum.all) << rounds << " rounds";
    EXPECT_EQ(static_cast<int64_t>(example->targets.size()), sum.supervised) << rounds << " rounds";
  }
}

}  // namespace
}  // namespace streamo::data
