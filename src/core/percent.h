// A share in per cent, for people.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace streamo::core {

// Of 0 to 1: "100 %", "35 %", "2.5 %", "0.013 %". Two digits that count, never an exponent.
inline std::string percent(double share) {
  constexpr int kMostDecimals = 6;
  const double value = 100 * share;
  const int before_point = value != 0 && std::isfinite(value)
                               ? static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1
                               : 1;
  std::string text = fmt::format("{:.{}f}", value, std::clamp(2 - before_point, 0, kMostDecimals));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text + " %";
}

}  // namespace streamo::core
