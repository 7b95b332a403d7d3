// A scripted model or a small random one; clips are encoded by ffmpeg when the test runs.
#include "eval/benchmark_runner.h"

#include <gmock/gmock.h>

#include <set>
#include <sstream>

#include "eval/bench/published.h"
#include "stream/scripted_model.h"
#include "stream/small_model.h"
#include "streamo/core/error.h"
#include "support/numbered_clip.h"

namespace streamo::eval {
namespace {

using stream::ScriptedModel;
using testing::ElementsAre;
using testing::HasSubstr;
using text::TokenId;

class BenchmarkRunner : public BenchFolder {
 protected:
  void SetUp() override {
    BenchFolder::SetUp();
    std::filesystem::create_directories(folder_ / "videos");
    make_clip("a.mp4", 8);
    make_clip("b.mp4", 6);
    options_.video = {.fps = 1.0, .pixel_limits = video::PixelLimits{3136, 3136}};
    options_.system_prompt = "Watch.";
    options_.num_threads = 1;
    options_.max_answer_tokens = 8;
    options_.model_name = "m";
  }

  void make_clip(const std::string& name, int seconds) const {
    test::ClipRecipe recipe;
    recipe.frames = 5 * seconds;
    recipe.rate = "5";
    test::make_clip(folder_ / "videos" / name, recipe);
  }

  // A model that says `text` in every answer; `seen` gets the conversations that led to one.
  ScriptedModel saying(const std::string& text, std::vector<std::string>* seen = nullptr) {
    said_ = tokenizer_.encode(text);
    said_.push_back(format_.special().im_end);
    return {tokenizer_.vocab_size(), [this, seen](const ScriptedModel::Held& held) {
              const auto state = std::find(held.rbegin(), held.rend(), format_.special().states[2]);
              const auto behind = static_cast<size_t>(state - held.rbegin());
              if (behind >= said_.size()) return format_.special().states[2];  // speaks at once
              if (behind == 0 && seen != nullptr) seen->push_back(tokenizer_.decode(held));
              return said_[behind];
            }};
  }

  BenchmarkRun run(model::VisionLanguageModel& model, const std::vector<Episode>& plays) {
    return run_benchmark(model, format_, plays, data::VideoRoot(folder_, false, "."), answers_,
                         options_);
  }
  std::vector<Episode> ovo(const std::string& protocol, const std::set<std::string>& tasks = {}) {
    nlohmann::json entries = ovo_entries();
    for (auto& entry : entries) {
      entry["video"] = "videos/" + entry["video"].get<std::string>();
    }
    return load_benchmark(write("ovo.json", entries), {protocol, tasks, options_.context});
  }
  std::map<std::string, Answer> answers() const {
    std::map<std::string, Answer> found;
    for (const Answer& answer : read_answers(answers_)) found[answer.id] = answer;
    return found;
  }

  const text::Tokenizer& tokenizer_ = text::small_tokenizer();
  const text::ChatFormat format_{tokenizer_};
  std::vector<TokenId> said_;
  BenchmarkOptions options_;
  const std::filesystem::path answers_ = folder_ / "answers.jsonl";
};

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_F(BenchmarkRunner, OfficialPointsAreAnsweredWhereTheVideoIsCut) {
  std::vector<std::string> seen;
  ScriptedModel model = saying("B", &seen);
  int64_t last = 0;
  options_.progress = [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, 9);
    last = done;
  };
  const BenchmarkRun result = run(model, ovo(kOfficial));
  EXPECT_EQ(result.points, 9);
  EXPECT_EQ(last, 9);
  EXPECT_TRUE(result.unplayed.empty());
  const auto found = answers();
  ASSERT_EQ(found.size(), 9u);
  for (const auto& [id, answer] : found) EXPECT_EQ(answer.response, "B") << id;
  // By video, in the order of the cuts: a.mp4 at 1, 2, 3, 4, 5 s.
  ASSERT_EQ(seen.size(), 9u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(count(seen[i], "</Silence>"), i) << seen[i];
    EXPECT_THAT(seen[i], HasSubstr("<" + std::to_string(i) + "s-" + std::to_string(i + 1) + "s>"));
    EXPECT_EQ(count(seen[i], "Answer only") + count(seen[i], "Respond only") +
                  count(seen[i], "single number"),
              1u);  // its own question, no other
  }
  EXPECT_EQ(count(seen[6], "</Silence>"), 1u);  // b.mp4 at 2 s
  EXPECT_EQ(count(seen[7], "</Silence>"), 2u);  // and at 2.5 s: the picture of second 2 is seen
}

TEST_F(BenchmarkRunner, AnswersOfOneWatchAreThoseOfEachAlone) {
  const auto model = stream::small_model();
  (void)run(*model, ovo(kOfficial));
  const auto together = answers();
  for (const Episode& play : ovo(kOfficial)) {
    std::filesystem::remove(answers_);
    (void)run(*model, {play});
    const std::string id = play.answers[0].id;
    EXPECT_EQ(answers().at(id).response, together.at(id).response) << id;
  }
}

TEST_F(BenchmarkRunner, ContextBeginsTheVideoLater) {
  std::vector<std::string> seen;
  ScriptedModel model = saying("B", &seen);
  options_.context = 2;
  (void)run(model, ovo(kOfficial, {"EPM"}));
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(count(seen[0], "</Silence>"), 1u);
  EXPECT_THAT(seen[0], HasSubstr("<0s-1s>"));  // the cut file begins at 0
}

TEST_F(BenchmarkRunner, GoesOnWhereItWasKilled) {
  std::vector<std::string> seen;
  ScriptedModel model = saying("B", &seen);
  (void)run(model, ovo(kOfficial));
  const std::string whole = core::read_file(answers_);
  size_t end = 0;
  for (int line = 0; line < 4; ++line) end = whole.find('\n', end) + 1;
  core::write_file_atomic(answers_, whole.substr(0, end + 20));
  seen.clear();
  const BenchmarkRun rest = run(model, ovo(kOfficial));
  EXPECT_EQ(rest.answered_before, 4);
  EXPECT_EQ(seen.size(), 5u);
  const auto lines_of = [](const std::string& text) {  // the rest may come in another order
    std::istringstream stream(text);
    std::multiset<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.insert(line);
    return lines;
  };
  EXPECT_EQ(lines_of(core::read_file(answers_)), lines_of(whole));
  seen.clear();
  EXPECT_EQ(run(model, ovo(kOfficial)).answered_before, 9);
  EXPECT_TRUE(seen.empty());
}

TEST_F(BenchmarkRunner, StreamoWatchesToTheFirstAnswerAndOnForCounts) {
  std::vector<std::string> seen;
  ScriptedModel model = saying("C. 3", &seen);
  (void)run(model, ovo(kStreamo));
  const auto found = answers();
  EXPECT_EQ(found.at("7").response, "C. 3");
  EXPECT_EQ(found.at("9/0").response, "Yes");
  EXPECT_EQ(found.at("11/0").response, "3");
  EXPECT_EQ(found.at("10/0").response, "No");
  EXPECT_EQ(found.at("7").protocol, kStreamo);
  // The question comes after its silence: EPM's at second 3.
  const auto epm = std::find_if(seen.begin(), seen.end(), [](const std::string& text) {
    return text.find("Who came?") != std::string::npos;
  });
  ASSERT_NE(epm, seen.end());
  EXPECT_EQ(count(*epm, "</Silence>"), 3u);
  EXPECT_THAT(*epm, HasSubstr("full option.\n<3s-4s>"));
}

TEST_F(BenchmarkRunner, ProactiveQuestionsArePolledToTheFirstYes) {
  std::vector<std::string> seen;
  const auto plays = load_benchmark(write("questions_proactive.json", streaming_proactive()), {});
  ScriptedModel yes = saying("Yes, 3", &seen);
  (void)run(yes, plays);
  const Answer answer = answers().begin()->second;
  EXPECT_EQ(answer.response, "Yes, 3");
  EXPECT_EQ(answer.second, 3);  // the first clip ends a second after the question
  EXPECT_EQ(seen.size(), 2u);   // is it time? then the question itself
  EXPECT_THAT(seen[1], testing::Not(HasSubstr("Is it the right time")));
  std::filesystem::remove(answers_);
  seen.clear();
  ScriptedModel no = saying("no", &seen);
  (void)run(no, plays);
  EXPECT_FALSE(answers().begin()->second.response);
  EXPECT_EQ(seen.size(), 6u);  // clips end at 3, 4, .. 8 s
}

TEST_F(BenchmarkRunner, MissingVideosAreListedAndCounted) {
  std::filesystem::remove(folder_ / "videos/b.mp4");
  ScriptedModel model = saying("B");
  const BenchmarkRun result = run(model, ovo(kOfficial));
  EXPECT_EQ(answers().size(), 5u);
  ASSERT_EQ(result.unplayed.size(), 1u);
  EXPECT_EQ(result.unplayed[0].video, "videos/b.mp4");
  EXPECT_EQ(result.unplayed[0].points, 4);
  EXPECT_THAT(result.unplayed[0].reason, HasSubstr("b.mp4"));
  std::filesystem::remove(folder_ / "videos/a.mp4");
  std::filesystem::remove(answers_);
  EXPECT_THROW((void)run(model, ovo(kOfficial)), core::Error);
}

TEST_F(BenchmarkRunner, AVideoThatEndsBeforeItsQuestionIsTheWrongOne) {
  ScriptedModel model = saying("B");
  auto plays = ovo(kOfficial, {"EPM", "CRR"});
  plays[0].end = 11;  // a.mp4 has 8 s
  const BenchmarkRun result = run(model, plays);
  ASSERT_EQ(result.unplayed.size(), 1u);
  EXPECT_EQ(result.unplayed[0].reason, "videos/a.mp4 lasts 8.0 s, and is asked about at 11.0 s");
  EXPECT_EQ(answers().size(), 2u);
}

TEST_F(BenchmarkRunner, PathsOutsideTheFolderAreNotFollowed) {
  ScriptedModel model = saying("B");
  auto plays = ovo(kOfficial, {"EPM", "CRR"});
  plays[0].video = "../../etc/passwd";
  EXPECT_THAT(run(model, plays).unplayed.at(0).reason, HasSubstr("leads out of"));
}

}  // namespace
}  // namespace streamo::eval
