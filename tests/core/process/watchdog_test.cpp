// A process that stands still ends itself, one that gets on does not.
#include "core/process/watchdog.h"

#include <gtest/gtest.h>

namespace streamo::core {
namespace {

using namespace std::chrono_literals;

void stand_still() {
  Progress progress;
  Watchdog watchdog;
  watchdog.expect("saving after step 4", progress, 300ms);
  std::this_thread::sleep_for(60s);
}

TEST(WatchdogDeathTest, EndsAProcessThatStandsStill) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(stand_still(), testing::ExitedWithCode(22),
              "error: saving after step 4: it has made no progress for");
}

TEST(Watchdog, LeavesAloneWhoGetsOnAndWhoRests) {
  Progress progress;
  Watchdog watchdog;
  watchdog.expect("saving", progress, 1s);
  for (int i = 0; i < 80; ++i) {
    progress.note();
    std::this_thread::sleep_for(20ms);
  }
  watchdog.rest();
  std::this_thread::sleep_for(1300ms);
  watchdog.expect("exporting", progress, 0ms);
  std::this_thread::sleep_for(600ms);
}

}  // namespace
}  // namespace streamo::core
