// Rows of new tokens. Truth: the mean in double, computed by LibTorch; the golden weights (fp32).
#include "model/new_tokens.h"

#include "model/golden.h"
#include "nn/thread_count_guard.h"

namespace streamo::model {
namespace {

using torch::Tensor;

class NewTokens : public testing::Test {
 protected:
  Tensor weight(const char* name) const { return named_weights(*model_).at(name); }
  static Tensor mean(const Tensor& rows) {
    return rows.to(torch::kDouble).mean(0).to(rows.scalar_type());
  }

  Golden golden_;
  std::shared_ptr<VisionLanguageModel> model_ = golden_.load();
};

TEST_F(NewTokens, SpareRowsAreWrittenOver) {
  const std::vector<int64_t> ids = {60, 62};
  EXPECT_EQ(add_token_rows(*model_, ids, 50), 64);
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) {
    const Tensor before = golden_[std::string("weight.") + name], after = weight(name);
    for (const int64_t id : ids) EXPECT_TRUE(after[id].equal(mean(before.slice(0, 0, 50))));
    for (int64_t id = 0; id < 64; ++id) {
      if (id == 60 || id == 62) continue;
      EXPECT_TRUE(after[id].equal(before[id])) << id;
    }
  }
}

TEST_F(NewTokens, EmbeddingAndHeadGrowWhereRowsAreMissing) {
  const Tensor embedding = weight("model.embed_tokens.weight");
  EXPECT_EQ(add_token_rows(*model_, std::vector<int64_t>{66, 63}, 60), 67);
  EXPECT_TRUE(weight("model.embed_tokens.weight").is_same(embedding)) << "the parameter itself";
  EXPECT_TRUE(embedding.requires_grad());
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) {
    const Tensor before = golden_[std::string("weight.") + name], after = weight(name);
    ASSERT_EQ(after.sizes(), (std::vector<int64_t>{67, 32}));
    EXPECT_TRUE(after.slice(0, 0, 63).equal(before.slice(0, 0, 63)));
    for (const int64_t id : {63, 64, 65, 66}) {
      EXPECT_TRUE(after[id].equal(mean(before.slice(0, 0, 60)))) << id;
    }
  }
}

// The logits of the old tokens are what they were, and the new ids can be embedded and trained.
TEST_F(NewTokens, TheModelComputesWithThem) {
  add_token_rows(*model_, std::vector<int64_t>{64, 65, 66}, 64);
  ModelInput input = golden_.input();
  const Tensor all = logits(*model_, input);
  EXPECT_EQ(all.size(1), 67);
  EXPECT_LT(relative_difference(all.slice(1, 0, 64), golden_["logits"]), 1e-4);
  input.input_ids = input.input_ids.clone();
  input.input_ids[0] = 66;
  at::cross_entropy_loss(logits(*model_, input).slice(0, 0, 1), torch::tensor({65})).backward();
  EXPECT_GT(weight("model.embed_tokens.weight").grad()[66].abs().sum().item<float>(), 0);
  EXPECT_GT(weight("lm_head.weight").grad()[65].abs().sum().item<float>(), 0);
}

TEST_F(NewTokens, SixteenBitsAndThreadsDoNotChangeTheBits) {
  model_->to(torch::kBFloat16);
  const Tensor before = weight("lm_head.weight").detach().clone();
  const nn::ThreadCountGuard keep;
  torch::set_num_threads(3);
  add_token_rows(*model_, std::vector<int64_t>{64}, 64);
  EXPECT_EQ(weight("lm_head.weight").scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(weight("lm_head.weight")[64].equal(mean(before)));
}

TEST_F(NewTokens, NoneChangesNothing) {
  EXPECT_EQ(add_token_rows(*model_, {}, 64), 64);
  EXPECT_TRUE(weight("lm_head.weight").equal(golden_["weight.lm_head.weight"]));
}

}  // namespace
}  // namespace streamo::model
