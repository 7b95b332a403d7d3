// config.json and overrides of the command line: a config that reads its own text back, or an
// Error{kConfig}. An input is the file, and behind a zero byte each an override.
#include <nlohmann/json.hpp>
#include <vector>

#include "config/run_config.h"
#include "fuzz/fuzz.h"
#include "streamo/core/error.h"

namespace streamo {

namespace {

std::string effective(std::string_view text, const std::vector<std::string>& overrides) {
  const fuzz::InputFile file(text);
  config::RunConfig config = config::load_run_config(file.path(), overrides);
  return config::make_schema(config).values().dump();
}

}  // namespace

FUZZ_TARGET(config, 2000) {
  const std::string_view text = fuzz::take_part(input);
  std::vector<std::string> overrides;
  while (!input.empty()) overrides.emplace_back(fuzz::take_part(input));
  try {
    // Relative paths that are defaults are those of the file from the second time on.
    const std::string again = effective(effective(text, overrides), {});
    fuzz::require(effective(again, {}) == again);
  } catch (const core::Error& error) {
    fuzz::require(error.kind() == core::ErrorKind::kConfig ||
                  error.kind() == core::ErrorKind::kUsage);  // an override without "="
  }
}

}  // namespace streamo
