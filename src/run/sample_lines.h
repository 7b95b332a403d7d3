// What each sample of a run gives, as text: for the other ranks, and for the file that keeps it.
#pragma once

#include <string>
#include <vector>

#include "data/samples/index.h"

namespace streamo::run {

// A line of JSON a sample, about 50 bytes where it is one window.
std::string to_lines(const std::vector<data::SampleItems>& samples);

// Back, the first line being of sample `numbers[0]` and so on. Throws nlohmann's exceptions for
// what to_lines() did not write.
std::vector<data::SampleItems> parse_lines(const std::string& lines,
                                           const std::vector<size_t>& numbers);

}  // namespace streamo::run
