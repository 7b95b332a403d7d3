// A model that answers by script, so what the report must say is known.
#include "eval/evaluator.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "stream/scripted_model.h"
#include "text/tokenizer_fixture.h"
#include "video/image/png.h"

namespace streamo::eval {
namespace {

namespace fs = std::filesystem;
using stream::ScriptedModel;
using testing::ElementsAre;
using testing::HasSubstr;
using text::State;
using Json = nlohmann::json;

class EvaluatorTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    video::write_png(folder_ / "grey.png", {56, 56}, std::vector<uint8_t>(56 * 56 * 3, 128));
  }

  ScriptedModel model_that_says(const std::vector<std::string>& answers) {
    script_ = stream::make_script(format_, answers);
    return {tokenizer_.vocab_size(), stream::follow(format_, script_)};
  }

  Json record(const std::string& task, const std::vector<std::string>& answers,
              const std::string& image = "grey.png") {
    Json messages = {{{"role", "system"}, {"content", "Watch."}}}, images = Json::array();
    for (size_t i = 0; i < answers.size(); ++i) {
      const std::string question = i == 0 ? "When?\n" : "";
      messages.push_back({{"role", "user"},
                          {"content", question + "<" + std::to_string(i) + "s-" +
                                          std::to_string(i + 1) + "s>\n<image>"}});
      messages.push_back({{"role", "assistant"}, {"content", answers[i]}});
      images.push_back(image);
    }
    return {{"messages", messages},
            {"images", images},
            {"video_name", "clip"},
            {"task_type", task},
            {"source", "made up"}};
  }

  data::SampleSource make_source(const std::vector<Json>& records) {
    const fs::path path = folder_ / "data.json";
    core::write_file_atomic(path, Json(records).dump());
    return data::SampleSource({path}, {});
  }

  const text::Tokenizer& tokenizer_ = text::small_tokenizer();
  text::ChatFormat format_{tokenizer_};
  stream::Script script_;
  const fs::path folder_ = text::tokenizer_directory() / "eval";
  const std::vector<std::string> says_ = {"</Silence>", "</Standby>", "</Response> the ball"};
};

TEST_F(EvaluatorTest, ReportsTruthAndPredictionOfEachTurn) {
  ScriptedModel model = model_that_says(says_);
  const auto source =
      make_source({record("grounding", {"</Silence>", "</Silence>", "</Response> the ball"})});
  const EvalReport report = evaluate(model, format_, source, {});
  ASSERT_EQ(report.timelines.size(), 1u);
  const Timeline& timeline = report.timelines[0];
  EXPECT_EQ(timeline.id, source.id(0));
  EXPECT_EQ(timeline.video_name, "clip");
  ASSERT_EQ(timeline.turns.size(), 3u);
  EXPECT_EQ(timeline.turns[0].question, "When?");
  EXPECT_EQ(timeline.turns[1].question, "");
  EXPECT_EQ(timeline.turns[1].truth, State::kSilence);
  EXPECT_EQ(timeline.turns[1].predicted, State::kStandby);
  EXPECT_EQ(timeline.turns[2].answer, "the ball");
  EXPECT_EQ(timeline.turns[2].truth_answer, "the ball");
  EXPECT_GT(timeline.turns[1].probabilities[1], 0.5f);
  EXPECT_DOUBLE_EQ(*report.metrics.answer_exact_match, 1.0);
}

TEST_F(EvaluatorTest, StreamingFeedsItsOwnWordsAndTeacherForcingTheTrueOnes) {
  ScriptedModel model = model_that_says(says_);
  const auto source =
      make_source({record("", {"</Response> at the left", "</Silence>", "</Silence>"})});
  const auto history = [&](bool teacher_forced) {
    (void)evaluate(model, format_, source, {.teacher_forced = teacher_forced});
    return tokenizer_.decode(model.held());
  };
  EXPECT_THAT(history(false),
              testing::AllOf(HasSubstr("</Silence><|im_end|>"), HasSubstr("</Standby><|im_end|>"),
                             testing::Not(HasSubstr("at the left"))));
  EXPECT_THAT(history(true), testing::AllOf(HasSubstr("</Response> at the left<|im_end|>"),
                                            testing::Not(HasSubstr("</Standby>"))));
}

TEST_F(EvaluatorTest, BadSamplesAreSkippedAndListed) {
  ScriptedModel model = model_that_says(says_);
  const auto source = make_source({record("", says_), record("", says_, "missing.png"),
                                   record("", {"no state"}), record("", says_)});
  const EvalReport report = evaluate(model, format_, source, {});
  EXPECT_EQ(report.timelines.size(), 2u);
  ASSERT_EQ(report.skipped.size(), 2u);
  EXPECT_EQ(report.skipped[0].id, source.id(1));
  EXPECT_THAT(report.skipped[0].reason, HasSubstr("missing.png"));
  EXPECT_THAT(report.skipped[1].reason, HasSubstr("</Silence>"));
  const auto hopeless = make_source({record("", {"no state"})});
  EXPECT_THROW(evaluate(model, format_, hopeless, {}), core::Error);
}

TEST_F(EvaluatorTest, TheNumberOfThreadsChangesNothing) {
  ScriptedModel model = model_that_says(says_);
  std::vector<Json> records;
  for (int i = 0; i < 7; ++i) {
    records.push_back(
        record(i % 2 == 0 ? "a" : "b", {"</Silence>", "</Standby>", "</Response> now"}));
  }
  const auto source = make_source(records);
  const int before = at::get_num_threads();
  const auto json = [&](int threads) {
    return to_json(evaluate(model, format_, source, {.num_threads = threads}), true).dump();
  };
  EXPECT_EQ(json(1), json(3));
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST_F(EvaluatorTest, SomeSamplesAreSpreadOverTheSource) {
  ScriptedModel model = model_that_says(says_);
  const auto source = make_source(std::vector<Json>(6, record("", says_)));
  int64_t calls = 0;
  EvaluateOptions options{.max_samples = 3, .num_threads = 2};
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(done, ++calls);
    EXPECT_EQ(total, 3);
  };
  const EvalReport report = evaluate(model, format_, source, options);
  ASSERT_EQ(report.timelines.size(), 3u);
  EXPECT_EQ(report.timelines[1].id, source.id(2));
  EXPECT_EQ(report.timelines[2].id, source.id(4));
  EXPECT_EQ(calls, 3);
}

TEST_F(EvaluatorTest, APartOfAReportIsTheReportOfThatPart) {
  ScriptedModel model = model_that_says(says_);
  std::vector<Json> records(6, record("", {"</Silence>", "</Silence>", "</Response> the ball"}));
  records[2] = record("", says_);
  records[4] = record("", {"no state"});
  const auto source = make_source(records);
  const EvalReport part =
      evenly_spaced_subset(evaluate(model, format_, source, {}), source, /*max_samples=*/3);
  const EvalReport alone = evaluate(model, format_, source, {.max_samples = 3});
  EXPECT_EQ(to_json(part, true), to_json(alone, true));
  EXPECT_EQ(part.timelines.size(), 2u);
}

TEST_F(EvaluatorTest, TimelinesAreReadBackFromAReport) {
  ScriptedModel model = model_that_says(says_);
  const EvalReport report = evaluate(model, format_, make_source({record("grounding", says_)}), {});
  const fs::path path = folder_ / "report.json";
  core::write_file_atomic(path, to_json(report, true).dump());
  const std::vector<Timeline> read = read_timelines(path);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(to_json(read[0]), to_json(report.timelines[0]));
  EXPECT_EQ(read[0].source, "made up");
  core::write_file_atomic(path, to_json(report, false).dump());
  EXPECT_THROW((void)read_timelines(path), core::Error);
  core::write_file_atomic(path, R"({"timelines":[{"fps":1,"turns":[{"truth":"Silent"}]}]})");
  EXPECT_THROW((void)read_timelines(path), core::Error);
}

TEST_F(EvaluatorTest, JsonHasTheKeysOthersRead) {
  ScriptedModel model = model_that_says(says_);
  const auto source = make_source({record("grounding", says_), record("grounding", {"oops"})});
  const EvalReport report = evaluate(model, format_, source, {});
  const Json json = Json::parse(to_json(report, true).dump());
  EXPECT_EQ(json.at("samples"), 1);
  EXPECT_EQ(json.at("turns"), 3);
  EXPECT_EQ(json.at("skipped"), 1);
  EXPECT_EQ(json.at("states").at("Standby"),
            (Json{{"precision", 1.0}, {"recall", 1.0}, {"f1", 1.0}, {"support", 1}}));
  EXPECT_EQ(json.at("macro_f1"), 1.0);
  EXPECT_EQ(json.at("response_timing"), (Json{{"median", 0.0},
                                              {"p90", 0.0},
                                              {"within_1s", 1.0},
                                              {"signed_median", 0.0},
                                              {"signed_p90", 0.0},
                                              {"early_share", 0.0}}));
  EXPECT_EQ(json.at("responses").at("within_2s"),
            (Json{{"precision", 1.0}, {"recall", 1.0}, {"f1", 1.0}}));
  EXPECT_EQ(json.at("responses").at("duplicates"), 0);
  EXPECT_EQ(json.at("answer_token_f1"), 1.0);
  EXPECT_EQ(json.at("grounding").at("spans"), 1);
  EXPECT_EQ(json.at("grounding").at("mean_iou"), 1.0);
  EXPECT_EQ(json.at("grounding").at("recall_at_0.7"), 1.0);
  EXPECT_EQ(json.at("calibration").at("bins").size(), 10u);
  EXPECT_TRUE(json.at("calibration").at("ece").is_number());
  EXPECT_EQ(json.at("answer_exact_match"), 1.0);
  EXPECT_EQ(json.at("confusion"), Json::parse("[[1,0,0],[0,1,0],[0,0,1]]"));
  EXPECT_EQ(json.at("response_errors"), Json::parse("[0.0]"));
  EXPECT_EQ(json.at("tasks").at("grounding").at("samples"), 1);
  EXPECT_EQ(json.at("tasks").at("grounding").at("response_f1"), 1.0);
  EXPECT_EQ(json.at("tasks").at("grounding").at("state_f1").at("Standby"), 1.0);
  EXPECT_EQ(json.at("sources").at("made up").at("samples"), 1);
  const Json& timeline = json.at("timelines").at(0);
  EXPECT_EQ(timeline.at("task_type"), "grounding");
  EXPECT_EQ(timeline.at("turns").at(0).at("question"), "When?");
  EXPECT_FALSE(timeline.at("turns").at(1).contains("question"));
  EXPECT_EQ(timeline.at("turns").at(2).at("predicted"), "Response");
  EXPECT_EQ(timeline.at("turns").at(2).at("probabilities").size(), 3u);
  EXPECT_FALSE(to_json(report, false).contains("timelines"));
}

TEST_F(EvaluatorTest, NothingToSayIsNullInJsonAndADashInTheTable) {
  ScriptedModel model = model_that_says({"</Silence>"});
  const EvalReport report = evaluate(model, format_, make_source({record("", {"</Silence>"})}), {});
  EXPECT_TRUE(to_json(report, false).at("response_timing").at("median").is_null());
  EXPECT_TRUE(to_json(report, false).at("answer_exact_match").is_null());
  EXPECT_THAT(to_table(report), HasSubstr("within 1 s: -"));
}

}  // namespace
}  // namespace streamo::eval
