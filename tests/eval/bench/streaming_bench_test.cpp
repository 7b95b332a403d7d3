// Truth: the published scripts (StreamingBench's src/benchmark/*.py), read.
#include "eval/bench/streaming_bench.h"

#include <gmock/gmock.h>

#include "eval/bench/published.h"

namespace streamo::eval {
namespace {

using testing::HasSubstr;

class StreamingBench : public BenchFolder {
 protected:
  std::vector<Episode> load(const std::string& name, const nlohmann::json& entries,
                            const std::string& protocol = kOfficial, double context = 0) {
    return load_benchmark(write(name, entries), {protocol, {}, context});
  }
};

TEST_F(StreamingBench, ChoicesAreCutAtTheirTime) {
  const std::vector<Episode> plays = load("questions_real.json", streaming_real(), kOfficial, 60);
  ASSERT_EQ(plays.size(), 2u);
  EXPECT_EQ(plays[0].from, 0);
  EXPECT_EQ(plays[0].end, 3);
  EXPECT_EQ(plays[0].answers[0].truth, "C");
  EXPECT_EQ(plays[0].answers[0].id, "questions_real/0/0");
  EXPECT_EQ(plays[0].question,
            "You are an advanced video question-answering AI assistant. You have been provided "
            "with some frames from the video and a multiple-choice question related to the video. "
            "Your task is to carefully analyze the video and provide the best answer to question, "
            "choosing from the four options provided. Respond with only the letter (A, B, C, or D) "
            "of the correct option.\n\nQuestion: What was done?\n\nOptions:\nA. w\nB. x\nC. y\nD. "
            "z\n\nThe best option is:");
  EXPECT_EQ(plays[1].from, 5);
  EXPECT_EQ(plays[1].end, 65);
  // Letters are added where there are none; a fifth option has no place in the prompt.
  EXPECT_THAT(plays[1].question, HasSubstr("\nA. one\nB. two\nC. three\nD. four\n\nThe best"));
}

TEST_F(StreamingBench, ASequenceTellsWhatWasAskedBefore) {
  const std::vector<Episode> plays = load("questions_sqa.json", streaming_sqa());
  ASSERT_EQ(plays.size(), 2u);
  EXPECT_THAT(plays[0].question, HasSubstr("correct option.\n\n\n\nHere is the question."));
  EXPECT_THAT(
      plays[1].question,
      HasSubstr("\n\nHere are the contextual information related to the video. Please answer the "
                "questions based on the contextual information: At timestamp 00:00:02, the "
                "following question and answer occurred: Question: Who serves?; Options: A. W, B. "
                "F, C. X, D. M; Answer: A; \n\nHere is the question."));
  EXPECT_EQ(plays[1].answers[0].id, "questions_sqa/0/1");
}

TEST_F(StreamingBench, ProactiveQuestionsArePolledOrWatched) {
  const Episode poll = load("questions_proactive.json", streaming_proactive()).at(0);
  EXPECT_EQ(poll.kind, Episode::Kind::kPoll);
  EXPECT_EQ(poll.from, 2);
  EXPECT_EQ(poll.end, 8);  // the last clip ends 4 s after the answer is due
  EXPECT_THAT(
      poll.poll_question,
      HasSubstr("Question: When the board shows 3 points, output \"3\". Is it the right "
                "time to output \"3\"? You can only answer yes or no.\n\nThe answer is:\n"));
  EXPECT_EQ(poll.answers[0].truth, "3");
  EXPECT_EQ(poll.answers[0].truth_second, 4);
  const Episode watch = load("questions_proactive.json", streaming_proactive(), kStreamo).at(0);
  EXPECT_EQ(watch.kind, Episode::Kind::kWatchForAnswer);
  EXPECT_EQ(watch.asked, 2);
  EXPECT_EQ(watch.question, "When the board shows 3 points, output \"3\".");
}

}  // namespace
}  // namespace streamo::eval
