#include "eval/bench/answer_log.h"

#include <gmock/gmock.h>

#include "eval/bench/published.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using testing::HasSubstr;

class AnswerLogTest : public BenchFolder {
 protected:
  static Answer answer(const std::string& id) {
    Answer answer;
    answer.benchmark = kOvoBench;
    answer.protocol = kOfficial;
    answer.task = "EPM";
    answer.id = id;
    answer.truth = "A";
    answer.response = "A";
    return answer;
  }
  std::string refusal(const std::string& model, double context) {
    try {
      const AnswerLog log(path_, model, context);
    } catch (const core::Error& error) {
      return error.what();
    }
    return "";
  }
  const std::filesystem::path path_ = folder_ / "new" / "answers.jsonl";
};

TEST_F(AnswerLogTest, GoesOnBehindWhatIsThere) {
  { AnswerLog(path_, "m", 60).append(answer("1")); }
  AnswerLog log(path_, "m", 60);
  EXPECT_TRUE(log.has(answer("1")));
  Answer streamo = answer("1");
  streamo.protocol = kStreamo;
  EXPECT_FALSE(log.has(streamo));
  log.append(answer("2"));
  EXPECT_EQ(read_answers(path_).size(), 2u);
}

TEST_F(AnswerLogTest, ALastLineThatIsNotWholeIsCutOff) {
  { AnswerLog(path_, "m", 60).append(answer("1")); }
  const std::string whole = core::read_file(path_);
  core::write_file_atomic(path_, whole + whole.substr(0, whole.size() / 2));
  AnswerLog log(path_, "m", 60);
  EXPECT_EQ(core::read_file(path_), whole);
  log.append(answer("2"));
  EXPECT_EQ(read_answers(path_).size(), 2u);
}

TEST_F(AnswerLogTest, OtherModelsContextsAndFilesAreRefused) {
  { AnswerLog(path_, "m", 60).append(answer("1")); }
  EXPECT_THAT(refusal("n", 60), HasSubstr("answers of model m with context 60, not of n with 60"));
  EXPECT_THAT(refusal("m", 0), HasSubstr("not of m with 0"));
  core::write_file_atomic(path_, "{\"id\": 3}\n");
  EXPECT_THAT(refusal("m", 60), HasSubstr("answers.jsonl, line 1"));
  EXPECT_EQ(core::read_file(path_), "{\"id\": 3}\n");  // untouched
}

TEST_F(AnswerLogTest, TextThatIsNotUtf8IsWrittenAllTheSame) {
  Answer broken = answer("1");
  broken.response = "\xe2\x82";
  { AnswerLog(path_, "m", 0).append(broken); }
  EXPECT_EQ(read_answers(path_).at(0).response, "\xef\xbf\xbd");
}

}  // namespace
}  // namespace streamo::eval
