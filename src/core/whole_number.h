// Whole numbers in settings.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace streamo::core {

// The whole number that a JSON number is, exactly: 7, 7.0, 1e3; none for 1.5, for what 64 bits with
// a sign do not hold, and for a fraction's notation where doubles skip whole numbers (1e30, 1e16).
template <typename Json>
std::optional<int64_t> whole_number(const Json& value) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (value.is_number_unsigned()) {
    const auto number = value.template get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.template get<int64_t>();
  if (!value.is_number()) return std::nullopt;
  const auto number = value.template get<double>();
  if (!(std::abs(number) <= kExact) || number != std::floor(number)) return std::nullopt;
  return static_cast<int64_t>(number);
}

}  // namespace streamo::core
