// "Did you mean ...?" behind every unknown name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace streamo::core {

// The candidate with the smallest edit distance (insert, delete, replace, swap of neighbours; a
// shared last component after a dot counts for it), or "" when none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

// "did you mean NEAREST?", or "known: a, b, c" when nothing is near.
std::string suggestion(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace streamo::core
