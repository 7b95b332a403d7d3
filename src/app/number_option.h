// Numbers on the command line: read and bounded as those of a config.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace streamo::app {

// For Option::transform(). "3", "3.0" and "1e3" are whole numbers; what is none, or lies outside of
// both ends, is a wrong usage (the parser's own checks let "nan" pass).
CLI::Validator whole_number(int64_t min, int64_t max);
CLI::Validator number(double min, double max);

inline constexpr int64_t kMaxCount = 1'000'000'000;  // of what is counted: samples, tokens, seconds

}  // namespace streamo::app
