// Truth: how a process ended, as its parent sees it. Each case is a process of its own.
#include "core/process/stop_signal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/io/scratch_folder.h"

namespace streamo::core {
namespace {

using std::chrono::milliseconds;

class StopSignals : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  static void hang() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  static void wait_until_asked() {
    while (!stop_requested()) std::this_thread::sleep_for(milliseconds(1));
  }
};

TEST_F(StopSignals, EndACommandAtOnceAsKilledByIt) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    EXPECT_EXIT(
        {
          std::signal(SIGHUP, SIG_DFL);
          watch_stop_signals();
          ::kill(::getpid(), signal);
          hang();
        },
        testing::KilledBySignal(signal), "");
  }
}

TEST_F(StopSignals, RemoveWhatIsNotReady) {
  const ScratchFolder folder;
  EXPECT_EXIT(
      {
        watch_stop_signals();
        const Temporary temporary(folder.path());
        std::filesystem::create_directories(temporary.path() / "below");
        ::kill(::getpid(), SIGTERM);
        hang();
      },
      testing::KilledBySignal(SIGTERM), "");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(StopSignals, AreObeyedInOrderAsLongAsARuleSaysSo) {
  EXPECT_EXIT(
      {
        watch_stop_signals();
        set_stop_rule({.in_order = true, .said = "tidying up"});
        ::kill(::getpid(), SIGTERM);
        wait_until_asked();
        std::_Exit(7);
      },
      testing::ExitedWithCode(7), "stopping: tidying up");
  EXPECT_EXIT(
      {
        watch_stop_signals();
        set_stop_rule({.exit_code = 20});
        StopRule former = set_stop_rule({.in_order = true});
        ::kill(::getpid(), SIGTERM);
        wait_until_asked();
        set_stop_rule(std::move(former));
        hang();  // at once again
      },
      testing::ExitedWithCode(20), "");
}

TEST_F(StopSignals, EndItAtOnceTheSecondTimeOrWhenItTakesTooLong) {
  EXPECT_EXIT(
      {
        watch_stop_signals();
        set_stop_rule({.in_order = true, .exit_code = 20});
        ::kill(::getpid(), SIGTERM);
        wait_until_asked();
        ::kill(::getpid(), SIGINT);
        hang();
      },
      testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(
      {
        watch_stop_signals();
        set_stop_rule({.in_order = true, .grace = milliseconds(50), .exit_code = 20});
        ::kill(::getpid(), SIGTERM);
        hang();
      },
      testing::ExitedWithCode(20), "");
}

TEST_F(StopSignals, AreToldToOthersAndHeardOfThem) {
  EXPECT_EXIT(
      {
        watch_stop_signals();
        set_stop_rule({.exit_code = 20, .tell_others = [] { ::write(2, "telling\n", 8); }});
        ::kill(::getpid(), SIGTERM);
        hang();
      },
      testing::ExitedWithCode(20), "telling");
  EXPECT_EXIT(
      {
        watch_stop_signals();
        set_stop_rule({.exit_code = 20, .others_stop = [] { return true; }});
        hang();
      },
      testing::ExitedWithCode(20), "");
}

TEST_F(StopSignals, LeaveNohupAlone) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        watch_stop_signals();
        ::kill(::getpid(), SIGHUP);
        std::_Exit(stop_requested() ? 1 : 7);
      },
      testing::ExitedWithCode(7), "");
}

TEST_F(StopSignals, Usr1AsksForASaveWhileSomebodyListens) {
  EXPECT_EXIT(
      {
        watch_stop_signals();
        const SaveOnSignal listening;
        if (take_save_request()) std::_Exit(1);
        ::kill(::getpid(), SIGUSR1);
        while (!take_save_request()) std::this_thread::sleep_for(milliseconds(1));
        std::_Exit(take_save_request() ? 2 : 7);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace streamo::core
