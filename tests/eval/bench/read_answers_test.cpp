// Truth: what the benchmarks' own scripts write, with made-up answers in it.
#include <gmock/gmock.h>

#include "core/rng.h"
#include "eval/bench/published.h"
#include "eval/benchmark.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ReadAnswers : public BenchFolder {
 protected:
  std::string refusal(const std::filesystem::path& path) {
    try {
      (void)read_answers(path);
    } catch (const core::Error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(ReadAnswers, OurOwnLines) {
  Answer answer;
  answer.benchmark = kStreamingBench;
  answer.protocol = kStreamo;
  answer.task = "Proactive Output";
  answer.video = "a.mp4";
  answer.id = "q/0/0";
  answer.question = "When?";
  answer.truth = "3";
  answer.response = "3";
  answer.truth_second = 4;
  answer.second = 5;
  Answer silent = answer;
  silent.id = "q/0/1";
  silent.response.reset();
  silent.second.reset();
  const auto path = write("a.jsonl", to_json(answer).dump() + "\n" + to_json(silent).dump() + "\n");
  const std::vector<Answer> read = read_answers(path);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(to_json(read[0]), to_json(answer));
  EXPECT_EQ(to_json(read[1]), to_json(silent));
  EXPECT_EQ(read_answers(write("one.jsonl", to_json(answer).dump())).size(), 1u);
}

TEST_F(ReadAnswers, NoDamageIsMoreThanAnError) {
  EXPECT_THAT(refusal(write("deep.json", std::string(1'000'000, '['))), HasSubstr("nested deeper"));
  const std::string whole = ovo_entries().dump() + "\n";
  core::Rng rng({5});
  constexpr std::string_view kBytes = "{}[]\",:\\0a \xff\n-e";
  for (int round = 0; round < 300; ++round) {
    std::string text = whole;
    for (int64_t change = rng.integer(1, 3); change > 0; --change) {
      const auto at = static_cast<size_t>(rng.integer(0, static_cast<int64_t>(text.size()) - 1));
      text[at] = kBytes[static_cast<size_t>(rng.integer(0, kBytes.size() - 1))];
    }
    const auto path = write("damaged.json", text);
    refusal(path);  // whatever it says, it is a core::Error
    try {
      (void)load_benchmark(path, {});
    } catch (const core::Error& error) {
      EXPECT_TRUE(error.kind() == core::ErrorKind::kData ||
                  error.kind() == core::ErrorKind::kUsage);
    }
  }
}

TEST_F(ReadAnswers, OvoBenchResults) {
  json forward = ovo_entries()[2];
  forward["test_info"][0]["response"] = "No";
  forward["test_info"][1]["response"] = nullptr;
  const json results = {{"backward",
                         {{{"id", 7},
                           {"video", "a.mp4"},
                           {"task", "EPM"},
                           {"question", "Who?"},
                           {"response", "B"},
                           {"ground_truth", "B"}}}},
                        {"realtime",
                         {{{"id", 12},
                           {"video", "a.mp4"},
                           {"task", "OCR"},
                           {"question", "?"},
                           {"response", {"A"}},
                           {"ground_truth", "C"}}}},
                        {"forward", {forward}}};
  const std::vector<Answer> read = read_answers(write("r.json", results));
  ASSERT_EQ(read.size(), 4u);
  EXPECT_EQ(read[0].protocol, kOfficial);
  EXPECT_EQ(read[0].truth, "B");
  EXPECT_EQ(read[1].response, "A");  // some published files have lists
  EXPECT_EQ(read[2].id, "9/0");
  EXPECT_EQ(read[2].truth, "No");
  EXPECT_EQ(read[3].truth, "Yes");
  EXPECT_FALSE(read[3].response);
}

TEST_F(ReadAnswers, LinesOfTheStreamoScript) {
  const json entries = ovo_entries();
  const json choice = {
      {"id", 7},
      {"video", "a"},
      {"gt", 1},
      {"task", "EPM"},
      {"output",
       {{"Round 10", "</Response> B. Bo"}, {"Round 2", "</Silence>"}, {"Round 9", "</Standby>"}}}};
  const json step = {
      {"id", "10_step_1"},
      {"original_id", 10},
      {"video", "b"},
      {"gt", entries[3]["test_info"]},
      {"task", "SSR"},
      {"step_index", 1},
      {"step_question", "pour"},
      {"output",
       {{"Round 2", "</Silence>"}, {"Round 3", "</Silence>"}, {"Round 4", "</Standby>"}}}};
  const auto path = write("s.jsonl", choice.dump() + "\n" + step.dump() + "\n{\"id\": 3, \"gt");
  const std::vector<Answer> read = read_answers(path);
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].protocol, kStreamo);
  EXPECT_EQ(read[0].response, "B. Bo");
  EXPECT_EQ(read[1].id, "10/1");
  EXPECT_EQ(read[1].response, "No");
  EXPECT_EQ(read[2].id, "10/2");
  EXPECT_EQ(read[2].response, "Yes");
}

TEST_F(ReadAnswers, StreamingBenchAnnotationsWithAnswers) {
  json real = streaming_real();
  real[0]["questions"][0]["Qwen2-VL"] = "C";  // the other question has no answer yet
  const std::vector<Answer> read = read_answers(write("real.json", real));
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].response, "C");
  real[0]["questions"][0]["MiniCPM"] = "D";
  EXPECT_THAT(refusal(write("two.json", real)), HasSubstr("give --name"));
  EXPECT_EQ(read_answers(write("two.json", real), "MiniCPM").at(0).response, "D");
}

TEST_F(ReadAnswers, StreamingBenchDialogues) {
  json proactive = streaming_proactive();
  json& question = proactive[0]["questions"][0];
  question["M"] = {{"answered", 5},
                   {"dialog_history",
                    {{{"role", "assistant"}, {"content", "yes"}, {"time", 5}},
                     {{"role", "assistant"}, {"content", "3!"}, {"time", 5}}}}};
  const Answer answer = read_answers(write("p.json", proactive)).at(0);
  EXPECT_EQ(answer.response, "3!");
  EXPECT_EQ(answer.second, 5);
  EXPECT_EQ(answer.truth_second, 4);
  question["M"]["dialog_history"] = json::array();
  EXPECT_THAT(refusal(write("p.json", proactive)), HasSubstr("p.json, entry 1"));
}

TEST_F(ReadAnswers, WhatIsNoResultFileIsRefused) {
  for (const char* content : {"[]", "{}", "3", R"([{"x": 1}])", R"({"a":1})"}) {
    EXPECT_THAT(refusal(write("x.json", std::string(content))),
                HasSubstr("no result file of a known benchmark"))
        << content;
  }
  EXPECT_THAT(
      refusal(write("x.jsonl", std::string("{\"benchmark\":\"chess\",\"protocol\":\"p\","
                                           "\"task\":\"t\",\"id\":\"1\",\"truth\":\"A\"}"))),
      HasSubstr("no such benchmark: chess"));
}

}  // namespace
}  // namespace streamo::eval
