// What happens to a collective that goes on by itself, as those of GPUs do; and how processes part.
// The processes of the run are threads here, with one store in memory.
#include "parallel/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

namespace streamo::parallel {
namespace {

using namespace std::chrono_literals;

struct Two {
  std::unique_ptr<Watch> first, second;
};

Two two_watches() {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  auto second = std::async(std::launch::async, [&] {
    return std::make_unique<Watch>(store, /*rank=*/1, /*size=*/2, 30s);
  });
  Two two;
  two.first = std::make_unique<Watch>(store, /*rank=*/0, /*size=*/2, 30s);
  two.second = second.get();
  return two;
}

void wait_for_a_sum_that_never_ends(bool second_takes_part) {
  const Two two = two_watches();
  two.second->set_activity("step 7");
  two.first->set_timeout(2s);
  two.first->enter_collective();
  if (second_takes_part) two.second->enter_collective();
  two.first->follow([] { return false; }, "a sum over the ranks");
  std::this_thread::sleep_for(20s);
}

TEST(WatchDeathTest, ASumThatDoesNotEndIsAHangOfTheRankThatIsBehind) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      wait_for_a_sum_that_never_ends(/*second_takes_part=*/false), testing::ExitedWithCode(22),
      "seen by rank 0: a sum over the ranks did not come to an end: rank 1 on .* is still at "
      "step 7");
  EXPECT_EXIT(wait_for_a_sum_that_never_ends(/*second_takes_part=*/true),
              testing::ExitedWithCode(22), "all ranks are in it, a GPU or the network");
}

TEST(Watch, ASumThatEndsInTimeIsForgotten) {
  const Two two = two_watches();
  two.first->set_timeout(2s);
  const auto begun = std::chrono::steady_clock::now();
  std::atomic<int> asked = 0;
  two.first->follow(
      [&] {
        ++asked;
        return std::chrono::steady_clock::now() - begun > 1s;
      },
      "a sum over the ranks");
  std::this_thread::sleep_for(4s);
  EXPECT_GE(asked, 1);
  const int asked_until_its_end = asked;
  std::this_thread::sleep_for(1s);
  EXPECT_EQ(asked, asked_until_its_end);
}

TEST(Watch, WaitsUntilAllAreDoneButNotForEver) {
  const Two two = two_watches();
  const auto seconds_waited = [&](std::chrono::seconds limit) {
    const auto begun = std::chrono::steady_clock::now();
    two.first->await_all_done(limit);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  two.first->announce_done();
  EXPECT_GE(seconds_waited(1s), 1);
  two.second->announce_done();
  EXPECT_LT(seconds_waited(30s), 10);
}

}  // namespace
}  // namespace streamo::parallel
