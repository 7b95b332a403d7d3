// What several ranks find in the samples is what a single process finds.
#include "run/ranked_samples.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "support/numbered_clip.h"
#include "support/with_ranks.h"
#include "text/tokenizer_fixture.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class RankedSamples : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    test::make_clip(folder_ / "twelve.mp4", {.frames = 24, .rate = "2"});
    test::make_clip(folder_ / "four.mp4", {.frames = 8, .rate = "2", .size = {128, 192}});
    std::ofstream(folder_ / "text.mp4") << "this is no video\n";
  }
  void TearDown() override { fs::remove_all(folder_); }

  data::SampleSource make_source(size_t samples) const {
    const std::vector<std::string> videos = {"text.mp4", "twelve.mp4", "four.mp4"};
    json records = json::array();
    for (size_t i = 0; i < samples; ++i) {
      records.push_back({{"video_path", videos[i % videos.size()]},
                         {"question", {{{"content", "When?"}, {"time", 1}}}},
                         {"response", {{{"content", std::string(i + 1, 'x')}, {"time", 3}}}}});
    }
    std::ofstream(folder_ / "raw.json") << records;
    return data::SampleSource({folder_ / "raw.json"}, {});
  }

  fs::path folder_ = fs::path(testing::TempDir()) / ("ranked-index-" + std::to_string(::getpid()));
};

auto numbers_of(const data::Item& item) {
  return std::tuple(item.sample, item.first_round, item.num_rounds, item.sink_rounds,
                    item.seen_rounds, item.tokens, item.supervised, item.frames,
                    item.visual_tokens);
}

TEST_F(RankedSamples, IsThatOfOneProcess) {
  const text::ChatFormat chat(text::small_tokenizer());
  const data::IndexOptions options{
      .max_length = 700, .context = {.overlap_rounds = 1, .sink_rounds = 1}, .num_workers = 1};
  for (const size_t samples : {3, 50}) {  // fewer than go to one rank, and more
    const data::SampleSource source = make_source(samples);
    data::SampleReport report_alone;
    const data::Index alone = data::build_index(source, chat, options, report_alone);
    ASSERT_GE(report_alone.size(), 1);
    ASSERT_GT(alone.overlong_samples, 0);
    test::with_ranks(3, [&](const std::shared_ptr<parallel::Ranks>& ranks) {
      data::SampleReport report;
      const data::Index index =
          data::make_index(source, read_all_samples(source, chat, options, *ranks), report);
      EXPECT_EQ(report.entries(), report_alone.entries());
      EXPECT_EQ(index.total_tokens, alone.total_tokens);
      EXPECT_EQ(index.total_frames, alone.total_frames);
      EXPECT_EQ(index.overlong_samples, alone.overlong_samples);
      for (const bool bad : {true, false}) {
        EXPECT_EQ(data::to_text(index.findings, bad, ""), data::to_text(alone.findings, bad, ""));
        EXPECT_NE(data::to_text(index.findings, bad, ""), "");
      }
      EXPECT_EQ(index.responses, alone.responses);
      EXPECT_EQ(index.answers, alone.answers);
      EXPECT_EQ(index.answers_lost, alone.answers_lost);
      ASSERT_EQ(index.items.size(), alone.items.size());
      for (size_t i = 0; i < index.items.size(); ++i)
        EXPECT_EQ(numbers_of(index.items[i]), numbers_of(alone.items[i])) << i;
    });
  }
}

}  // namespace
}  // namespace streamo::run
