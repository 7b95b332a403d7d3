// Range checks for numeric command-line options.
#include "app/number_option.h"

#include <fmt/format.h>

#include "core/json/json.h"
#include "core/whole_number.h"

namespace streamo::app {

CLI::Validator whole_number(int64_t min, int64_t max) {
  return CLI::Validator(
      [=](std::string& text) {
        const auto json = core::parse_json(text);
        const auto value = json ? core::whole_number(*json) : std::nullopt;
        if (!value || *value < min || *value > max) {
          return fmt::format("{} is no whole number of {} to {}", text, min, max);
        }
        text = std::to_string(*value);
        return std::string();
      },
      fmt::format("{} to {}", min, max));
}

CLI::Validator number(double min, double max) {
  return CLI::Validator(
      [=](std::string& text) {
        const auto json = core::parse_json(text);
        const bool is_number = json && json->is_number();
        if (is_number && *json >= min && *json <= max) return std::string();
        return fmt::format("{} is no number of {} to {}", text, min, max);
      },
      fmt::format("{} to {}", min, max));
}

}  // namespace streamo::app
