// Truth: windows written out by hand.
#include "streamo/data/context_window.h"

#include <gtest/gtest.h>

#include "streamo/core/error.h"

namespace streamo::data {
namespace {

TEST(ContextWindow, ANewOneBeginsWhenTheOldOneIsFull) {
  const ContextRule rule{.max_rounds = 5, .overlap_rounds = 3};
  const std::vector<int64_t> begins = {0, 0, 0, 0, 0, 2, 2, 4, 4, 6, 6};
  for (size_t round = 0; round < begins.size(); ++round) {
    EXPECT_EQ(window_begin(rule, static_cast<int64_t>(round)), begins[round]) << round;
  }
  EXPECT_EQ(window_begin({.max_rounds = 4}, 3), 0);
  EXPECT_EQ(window_begin({.max_rounds = 4}, 4), 4);
  EXPECT_EQ(window_begin({.max_rounds = 4}, 8), 8);
  EXPECT_EQ(window_begin({}, 1'000'000), 0);
  EXPECT_EQ(window_begin(kReferenceContext, 119), 0);
  EXPECT_EQ(window_begin(kReferenceContext, 120), 60);
  EXPECT_EQ(window_begin(kReferenceContext, 3599), 3480);
}

TEST(ContextWindow, ASessionIsBoundedWhateverTheTraining) {
  EXPECT_EQ(session_context({}), kReferenceContext);
  const ContextRule own{.max_rounds = 5, .overlap_rounds = 3};
  EXPECT_EQ(session_context(own), own);
}

TEST(ContextWindow, RefusesWhatExcludesItself) {
  EXPECT_NO_THROW(check_context({}, ""));
  EXPECT_NO_THROW(check_context(kReferenceContext, ""));
  EXPECT_NO_THROW(check_context({.max_rounds = 5, .overlap_rounds = 3, .sink_rounds = 2}, ""));
  for (const ContextRule& rule :
       {ContextRule{.max_rounds = 5, .overlap_rounds = 5},
        ContextRule{.max_rounds = 5, .overlap_rounds = 3, .sink_rounds = 3},
        ContextRule{.overlap_rounds = 3}, ContextRule{.sink_rounds = 1}}) {
    try {
      check_context(rule, "here");
      ADD_FAILURE() << rule.max_rounds << " " << rule.overlap_rounds << " " << rule.sink_rounds;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kConfig);
    }
  }
}

}  // namespace
}  // namespace streamo::data
