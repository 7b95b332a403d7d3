// Truth: the lines written out.
#include "metrics/terminal.h"

#include <gtest/gtest.h>

namespace streamo::metrics {
namespace {

StepMetrics example() {
  return {.step = 120,
          .total_steps = 900,
          .loss = 0.8312,
          .loss_text = 1.02,
          .loss_state = 0.41,
          .state_targets = {200, 100, 50},
          .state_hits = {198, 93, 44},
          .lr = 8.7e-4,
          .grad_norm = 0.92,
          .tokens_per_second = 41'200,
          .video_seconds_per_second = 310,
          .data_wait = 0.003,
          .peak_memory_bytes = int64_t{512} << 20,
          .eta_seconds = 312,
          .skipped = 3};
}

// Columns on the screen: colour sequences take none, other characters one each.
int visible_columns(const std::string& line) {
  int columns = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = line.find('m', i);
    } else if ((static_cast<uint8_t>(line[i]) & 0xC0U) != 0x80U) {  // not a UTF-8 continuation
      ++columns;
    }
  }
  return columns;
}

TEST(PlainLine, ReadsAsDocumented) {
  EXPECT_EQ(plain_line(example()),
            "step   120/900 | loss 0.8312 (state 0.410 text 1.020) | recall S .99 B .93 R .88 | "
            "grad 0.92 | "
            "lr 8.7e-04 | 41.2 k tok/s | 310 video-s/s | wait 0.3 % | 512 MiB | 3 skipped | ETA 5 "
            "m 12 s");
}

TEST(PlainLine, ShowsPerfectAndAbsentStates) {
  StepMetrics metrics = example();
  metrics.state_targets = {4, 0, 3};
  metrics.state_hits = {4, 0, 0};
  EXPECT_NE(plain_line(metrics).find("recall S 1.0 B - R .00 |"), std::string::npos);
}

TEST(LiveLine, NeverWrapsAndKeepsTheImportantParts) {
  for (const int columns : {40, 60, 80, 100, 120, 200}) {
    const std::string line = live_line(example(), columns);
    EXPECT_LE(visible_columns(line), columns) << line;
    EXPECT_NE(line.find("loss 0.8312"), std::string::npos) << columns;
    EXPECT_NE(line.find("120/900"), std::string::npos) << columns;
  }
  EXPECT_NE(live_line(example(), 100).find("ETA 5 m 12 s"), std::string::npos);
  EXPECT_NE(live_line(example(), 200).find("state 0.410 text 1.020"), std::string::npos);
}

TEST(Format, DurationsAndBytes) {
  EXPECT_EQ(format_duration(0.4), "0 s");
  EXPECT_EQ(format_duration(59.6), "1 m 00 s");
  EXPECT_EQ(format_duration(5 * 3600 + 12 * 60), "5 h 12 m");
  EXPECT_EQ(format_duration(51 * 3600), "2 d 3 h");
  EXPECT_EQ(format_bytes(int64_t{61} << 30), "61.0 GiB");
}

}  // namespace
}  // namespace streamo::metrics
