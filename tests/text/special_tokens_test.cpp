#include "streamo/text/special_tokens.h"

#include <gmock/gmock.h>

#include <set>

#include "streamo/core/error.h"
#include "text/tokenizer_fixture.h"

namespace streamo::text {
namespace {

using testing::HasSubstr;

// The small tokenizer, but one special token is unknown to it or not found inside a text.
class Defective final : public Tokenizer {
 public:
  Defective(std::string token, bool knows_by_name)
      : token_(std::move(token)), knows_by_name_(knows_by_name) {}
  std::vector<TokenId> encode(std::string_view text) const override {
    if (text == token_) return {101, 102, 103};
    return small_tokenizer().encode(text);
  }
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    return small_tokenizer().decode(ids, skip_special);
  }
  TokenId special_id(std::string_view token) const override {
    return token == token_ && !knows_by_name_ ? -1 : small_tokenizer().special_id(token);
  }
  int64_t vocab_size() const override { return small_tokenizer().vocab_size(); }

 private:
  std::string token_;
  bool knows_by_name_;
};

TEST(SpecialTokens, ResolveGivesTheIdOfEach) {
  const SpecialTokens special = SpecialTokens::resolve(small_tokenizer());
  EXPECT_EQ(special.im_start, small_tokenizer().special_id("<|im_start|>"));
  EXPECT_EQ(special.image_pad, small_tokenizer().special_id("<|image_pad|>"));
  EXPECT_EQ(special.states[1], small_tokenizer().special_id("</Standby>"));
  const std::set<TokenId> all = {special.end_of_text,  special.im_start,   special.im_end,
                                 special.vision_start, special.vision_end, special.image_pad,
                                 special.states[0],    special.states[1],  special.states[2]};
  EXPECT_EQ(all.size(), 9u);
}

TEST(SpecialTokens, StateIndex) {
  const SpecialTokens special = SpecialTokens::resolve(small_tokenizer());
  for (int i = 0; i < kNumStates; ++i) EXPECT_EQ(special.state_index(special.states[i]), i);
  EXPECT_EQ(special.state_index(special.im_end), -1);
}

TEST(SpecialTokens, ASplitTokenIsRefusedWithItsPieces) {
  for (const std::string& token : special_token_strings()) {
    if (token == kVideoPad) continue;  // pictures of a stream are images; nothing writes this one
    for (const bool knows_by_name : {false, true}) {
      try {
        (void)SpecialTokens::resolve(Defective(token, knows_by_name));
        ADD_FAILURE() << token << " was accepted";
      } catch (const core::Error& error) {
        EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
        EXPECT_THAT(error.what(), HasSubstr("'" + token + "'"));
        EXPECT_THAT(error.what(), HasSubstr("101, 102, 103"));
      }
    }
  }
}

TEST(State, IsWhatATurnBeginsWith) {
  EXPECT_EQ(leading_state("</Silence>"), State::kSilence);
  EXPECT_EQ(leading_state("</Standby>"), State::kStandby);
  EXPECT_EQ(leading_state("</Response> Yes."), State::kResponse);
  EXPECT_EQ(leading_state("Yes. </Response>"), std::nullopt);
  EXPECT_EQ(leading_state(""), std::nullopt);
  EXPECT_EQ(state_token(State::kStandby), "</Standby>");
  EXPECT_EQ(state_name(State::kResponse), "Response");
}

}  // namespace
}  // namespace streamo::text
