// The check's result in print. Truth: the numbers that were put in, by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/check/dataset_check.h"

namespace streamo::data {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

void add(DatasetCheck& check, Finding finding, const std::string& id, const std::string& what) {
  check.findings[static_cast<size_t>(finding)].push_back({id, what});
  ++check.samples_with[static_cast<size_t>(finding)];
}

DatasetCheck made_check() {
  DatasetCheck check;
  check.files = {"a.json"};
  check.samples = 2000;
  check.bad_samples = 5;
  check.videos = 400;
  check.unreadable_videos = 4;
  check.video_seconds = 3 * 3600;
  for (int i = 0; i < 5; ++i) add(check, Finding::kVideo, "a.json:" + std::to_string(i), "broken");
  add(check, Finding::kDuplicate, "a.json:9", "is a.json:8");
  check.states = {750, 200, 50};
  check.turns_of_sample = {300, 700};
  check.tokens_of_item = {4000, 6000};
  check.visual_tokens = 8000;
  check.supervised_tokens = 250;
  check.samples_without_response = 1;
  check.tokens_of_step = {10000};
  return check;
}

TEST(CheckReport, IsForPeople) {
  EXPECT_EQ(to_text(made_check(), 0.1), R"(a.json
2,000 samples: 1,995 can be used, 5 cannot (0.25 %; a run stops above 10 %)
400 videos: 3.0 h, 5.0 samples each; 4 cannot be read

cannot be used
        5  video                the video cannot be read
           a.json:0: broken
           a.json:1: broken
           a.json:2: broken
           and 2 more

used, but worth a look
        1  duplicate            the same sample once more
           a.json:9: is a.json:8

state              turns    share
Silence              750   75.0 %  ########################################
Standby              200   20.0 %  ###########
Response              50    5.0 %  ###
1 sample never answers

                        least   median     90 %     99 %     most             all
turns of a sample         300      300      700      700      700           1,000
tokens of an item       4,000    4,000    6,000    6,000    6,000          10,000
tokens of a step       10,000   10,000   10,000   10,000   10,000          10,000
of the tokens 80.0 % are visual, 2.50 % are supervised

tokens of an item: how many items
      4,000 to 4,199         1  ########################################
      4,200 to 4,399         0
      4,400 to 4,599         0
      4,600 to 4,799         0
      4,800 to 4,999         0
      5,000 to 5,199         0
      5,200 to 5,399         0
      5,400 to 5,599         0
      5,600 to 5,799         0
      5,800 to 5,999         0
      6,000 to 6,199         1  ########################################

an epoch: 2 items in 1 step
)");
}

TEST(CheckReport, IsShortWhereThereIsNothingToSay) {
  DatasetCheck check;
  check.files = {"a.json", "b.json"};
  check.samples = 1;
  check.videos = 1;
  check.video_seconds = 12;
  check.states = {9, 1, 2};
  check.turns_of_sample = {12};
  const std::string text = to_text(check, 0.1);
  EXPECT_THAT(text, HasSubstr("a.json\nb.json\n1 sample, all can be used\n1 video: 12 s, "));
  for (const char* title : {"cannot", "worth a look", "tokens", "epoch"}) {
    EXPECT_THAT(text, Not(HasSubstr(title)));
  }
  check.bad_samples = 1;
  add(check, Finding::kVideo, "a.json:0", "broken");
  EXPECT_THAT(to_text(check, 0.1), Not(HasSubstr("state"))) << "no tables of nothing";
}

TEST(CheckReport, IsForMachines) {
  const json result = json::parse(to_json(made_check()).dump());
  EXPECT_EQ(result["files"], json({"a.json"}));
  EXPECT_EQ(result["samples"], 2000);
  EXPECT_EQ(result["usable"], 1995);
  EXPECT_EQ(result["bad"], 5);
  EXPECT_EQ(result["findings"].size(), kNumFindings) << "those without entries, too";
  const json& video = result["findings"]["video"];
  EXPECT_EQ(video["bad"], true);
  EXPECT_EQ(video["count"], 5);
  ASSERT_EQ(video["entries"].size(), 5u) << "all of them";
  EXPECT_EQ(video["entries"][4], json({{"id", "a.json:4"}, {"what", "broken"}}));
  EXPECT_EQ(result["findings"]["duplicate"]["bad"], false);
  EXPECT_EQ(result["videos"], json({{"count", 400},
                                    {"unreadable", 4},
                                    {"in_training", 0},
                                    {"hours", 3.0},
                                    {"samples_per_video", 5.0}}));
  EXPECT_EQ(result["states"]["Silence"], json({{"turns", 750}, {"share", 0.75}}));
  EXPECT_EQ(result["turns"]["total"], 1000);
  EXPECT_EQ(result["tokens"]["median"], 4000);
  EXPECT_EQ(result["tokens"]["histogram"][0], json({{"from", 4000}, {"to", 4199}, {"count", 1}}));
  EXPECT_EQ(result["supervised_tokens"], 250);
  EXPECT_EQ(result["steps"]["per_epoch"], 1);
  EXPECT_EQ(result["steps"]["tokens"]["max"], 10000);
  DatasetCheck untokenized = made_check();
  untokenized.tokens_of_item.clear();
  untokenized.tokens_of_step.clear();
  const json without = json::parse(to_json(untokenized).dump());
  for (const char* key : {"tokens", "supervised_tokens", "steps"})
    EXPECT_TRUE(without[key].is_null());
}

}  // namespace
}  // namespace streamo::data
