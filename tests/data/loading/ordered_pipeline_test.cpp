// Results in order however long each takes. Truth: the numbers themselves.
#include "data/loading/ordered_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace streamo::data {
namespace {

using testing::ElementsAreArray;

constexpr size_t kCount = 200;

size_t same(size_t i) {
  return i;
}

void sleep_for_a_while(size_t i) {  // those that come first take longest
  std::this_thread::sleep_for(std::chrono::microseconds(i % 4 == 0 ? 2000 : 100));
}

TEST(OrderedPipeline, ClaimsAndDeliversInOrder) {
  for (const int workers : {1, 3, 16}) {
    std::vector<size_t> expected, claimed, delivered;
    for (size_t i = 0; i < kCount; ++i) expected.push_back(i);
    std::atomic<size_t> done = 0;
    size_t most_waiting = 0;
    ordered_pipeline(
        kCount, workers,
        [&](size_t i) {
          claimed.push_back(i);
          return i;
        },
        [&](size_t i) {
          sleep_for_a_while(i);
          ++done;
          return 10 * i;
        },
        [&](size_t i, size_t result) {
          EXPECT_EQ(result, 10 * i);
          most_waiting = std::max(most_waiting, done - delivered.size());
          delivered.push_back(i);
        });
    EXPECT_THAT(claimed, ElementsAreArray(expected));
    EXPECT_THAT(delivered, ElementsAreArray(expected));
    EXPECT_LE(most_waiting, 4 * static_cast<size_t>(workers) + 1) << workers;
  }
}

TEST(OrderedPipeline, OfNothingIsNothing) {
  ordered_pipeline(0, 4, same, same, [](size_t, size_t) { FAIL(); });
}

TEST(OrderedPipeline, AnExceptionOfAnyPartReachesTheCaller) {
  const auto fail_at = [](size_t at) {
    return [at](size_t i) {
      if (i == at) throw std::runtime_error("at " + std::to_string(at));
      return i;
    };
  };
  for (const size_t at : {size_t{0}, size_t{50}, kCount - 1}) {
    size_t delivered = 0;
    const auto count = [&](size_t, size_t) { ++delivered; };
    const std::string expected = "at " + std::to_string(at);
    const auto error_message = [](const auto& run) {
      try {
        run();
      } catch (const std::runtime_error& error) {
        return std::string(error.what());
      }
      return std::string("none");
    };
    EXPECT_EQ(error_message([&] { ordered_pipeline(kCount, 4, fail_at(at), same, count); }),
              expected);
    EXPECT_LE(delivered, at);
    EXPECT_EQ(error_message([&] { ordered_pipeline(kCount, 4, same, fail_at(at), count); }),
              expected);
    const auto deliver = [&](size_t i, size_t) { fail_at(at)(i); };
    EXPECT_EQ(error_message([&] { ordered_pipeline(kCount, 4, same, same, deliver); }), expected);
  }
}

}  // namespace
}  // namespace streamo::data
