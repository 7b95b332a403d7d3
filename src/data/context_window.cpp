// Windows start at multiples of the stride, so the window of a round follows from its number alone.
#include "streamo/data/context_window.h"

#include <fmt/format.h>

#include "streamo/core/error.h"

namespace streamo::data {

ContextRule session_context(const ContextRule& trained) {
  return trained.max_rounds > 0 ? trained : kReferenceContext;
}

void check_context(const ContextRule& rule, const std::string& where) {
  STREAMO_CHECK(rule.max_rounds >= 0 && rule.overlap_rounds >= 0 && rule.sink_rounds >= 0,
                "numbers of rounds are not negative");
  if (rule.max_rounds == 0) {
    if (rule.overlap_rounds == 0 && rule.sink_rounds == 0) return;
    throw core::Error(core::ErrorKind::kConfig, "an overlap or sink of windows that never end",
                      where, "give the window's length in rounds, too");
  }
  if (rule.overlap_rounds >= rule.max_rounds) {
    throw core::Error(core::ErrorKind::kConfig,
                      fmt::format("windows of {} rounds cannot begin with {} of the one before",
                                  rule.max_rounds, rule.overlap_rounds),
                      where, "give an overlap below the window's length");
  }
  if (rule.sink_rounds > rule.stride()) {
    throw core::Error(core::ErrorKind::kConfig,
                      fmt::format("{} first rounds cannot be kept when the second window begins "
                                  "after {}",
                                  rule.sink_rounds, rule.stride()),
                      where, "give fewer, or a smaller overlap");
  }
}

int64_t window_begin(const ContextRule& rule, int64_t round) {
  if (rule.max_rounds == 0 || round < rule.max_rounds) return 0;
  return ((round - rule.max_rounds) / rule.stride() + 1) * rule.stride();
}

}  // namespace streamo::data
