// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace streamo::data {

// 1234567 -> 1,234,567
inline std::string number(int64_t value) {
  std::string digits = std::to_string(value);
  for (size_t at = digits.size(); at > 3 + (value < 0 ? 1 : 0);) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}
inline std::string number(size_t value) {
  return number(static_cast<int64_t>(value));
}

}  // namespace streamo::data
