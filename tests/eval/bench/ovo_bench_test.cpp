// Truth: the published scripts (OVO-Bench's utils/OVOBench.py with constant.py; the Streamo
// authors' scripts/benchmark/ovo_script.py), read.
#include "eval/bench/ovo_bench.h"

#include <gmock/gmock.h>

#include <cmath>

#include "eval/bench/published.h"

namespace streamo::eval {
namespace {

using testing::HasSubstr;

class OvoBench : public BenchFolder {
 protected:
  std::vector<Episode> load(const std::string& protocol, const std::set<std::string>& tasks = {},
                            double context = 0) {
    return load_benchmark(write("ovo.json", ovo_entries()), {protocol, tasks, context});
  }
};

TEST_F(OvoBench, OfficialCutsEachPointAtItsTime) {
  const std::vector<Episode> plays = load(kOfficial);
  ASSERT_EQ(plays.size(), 1u + 1 + 2 + 3 + 2);
  const Episode& choice = plays[0];
  EXPECT_EQ(choice.kind, Episode::Kind::kAnswerAtEnd);
  EXPECT_EQ(choice.video, "a.mp4");
  EXPECT_EQ(choice.from, 0);
  EXPECT_EQ(choice.end, 3);
  EXPECT_EQ(choice.answers[0].id, "7");
  EXPECT_EQ(choice.answers[0].truth, "B");
  EXPECT_EQ(choice.answers[0].protocol, kOfficial);
  EXPECT_EQ(choice.question,
            "\nQuestion: Who came?\nOptions:\nA. Al; B. Bo; C. Cy;\n\nRespond only with the letter "
            "corresponding to your chosen option (e.g., A, B, C). \nDo not include any additional "
            "text or explanation in your response.\n");
  EXPECT_EQ(plays[1].end, 2.5);
  EXPECT_EQ(plays[2].answers[0].id, "9/0");
  EXPECT_EQ(plays[2].answers[0].truth, "No");
  EXPECT_EQ(plays[3].answers[0].truth, "Yes");
  EXPECT_EQ(plays[3].end, 4);
  EXPECT_THAT(plays[3].question, HasSubstr("\nWhat does she do?\nDecide whether existing"));
  EXPECT_THAT(plays[5].question, HasSubstr("whole procedures: \npour\nYour task"));
  EXPECT_EQ(plays[8].answers[0].truth, "1");
  EXPECT_THAT(plays[8].question,
              HasSubstr("answer the following question: How many times did they clap?\nProvide"));
}

TEST_F(OvoBench, OfficialWithContextBeginsLater) {
  const std::vector<Episode> plays = load(kOfficial, {"EPM", "ASI"}, 2.75);
  EXPECT_EQ(plays[0].from, 0.25);
  EXPECT_EQ(plays[1].from, 0);
}

TEST_F(OvoBench, StreamoAsksOnceAndWatches) {
  const std::vector<Episode> plays = load(kStreamo);
  ASSERT_EQ(plays.size(), 1u + 1 + 1 + 2 + 1);
  EXPECT_EQ(plays[0].kind, Episode::Kind::kWatchForAnswer);
  EXPECT_EQ(plays[0].asked, 3);
  EXPECT_TRUE(std::isinf(plays[0].end));
  EXPECT_EQ(plays[0].question,
            "Who came?\nA. Al\nB. Bo\nC. Cy\nPlease provide your answer by stating the letter "
            "followed by the full option.");
  EXPECT_EQ(plays[1].asked, 2);  // 2.5: in the turn of that second
  const Episode& crr = plays[2];
  EXPECT_EQ(crr.asked, 1);
  EXPECT_EQ(crr.end, 5);  // its last point's second is seen
  EXPECT_EQ(crr.answers.size(), 2u);
  const Episode& pour = plays[4];
  EXPECT_EQ(pour.asked, 3);
  ASSERT_EQ(pour.answers.size(), 2u);
  EXPECT_EQ(pour.answers[0].id, "10/1");
  EXPECT_EQ(pour.answers[1].id, "10/2");
  EXPECT_THAT(pour.question, HasSubstr("The given event is:\n'pour'"));
  const Episode& rec = plays[5];
  EXPECT_EQ(rec.kind, Episode::Kind::kWatch);
  EXPECT_EQ(rec.asked, 1);  // three seconds before the first
  EXPECT_THAT(rec.question, HasSubstr("activity 'clap' occur?\nA. 1\nB. 2"));
  EXPECT_THAT(rec.question, HasSubstr("\nJ. 10. Please respond"));
}

TEST_F(OvoBench, OnlyTheTasksAskedFor) {
  EXPECT_EQ(load(kOfficial, {"EPM", "REC"}).size(), 3u);
}

}  // namespace
}  // namespace streamo::eval
