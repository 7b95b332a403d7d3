// Reads JSON or JSON Lines, forgives one torn last line, and wraps each library exception in an
// error with file and entry.
#include "eval/bench/annotation.h"

#include <charconv>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "core/io/file.h"
#include "core/json/json.h"
#include "core/log.h"
#include "streamo/core/error.h"

namespace streamo::eval {

using nlohmann::json;

json read_json_or_lines(const std::filesystem::path& path) {
  const core::JsonRules rules = {.max_bytes = uint64_t{1} << 30};
  core::Result<json> whole = core::read_json(path, rules);
  // A file of one line is both: whoever calls tells a published object from a line.
  if (whole) return *std::move(whole);
  if (!std::filesystem::is_regular_file(path) ||
      std::filesystem::file_size(path) > rules.max_bytes) {
    throw core::Error(core::ErrorKind::kData, whole.reason(), "", "check the path");
  }
  json entries = json::array();
  std::istringstream lines(core::read_file(path));
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    core::Result<json> entry = core::parse_json(line);
    const bool is_entry = entry && entry->is_object();
    if (!is_entry && number > 1 && lines.eof()) {
      core::log_warning("{}, line {}: incomplete, left by a run that was killed, passed over",
                        path.string(), number);
      break;
    }
    if (!is_entry) {
      throw core::Error(core::ErrorKind::kData,
                        "neither JSON nor JSON Lines (" + whole.reason() + ")",
                        path.string() + ", line " + std::to_string(number),
                        "is the file complete? its size and end tell");
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

void read_entry(const std::filesystem::path& path, const std::string& entry,
                const std::function<void()>& read) {
  try {
    read();
  } catch (const std::exception& error) {  // of the JSON library, or of a number
    throw core::Error(core::ErrorKind::kData,
                      std::string("not in the published format: ") + error.what(),
                      path.string() + ", " + entry, "docs/evaluation.md names the formats");
  }
}

double clock_seconds(const std::string& text) {
  double seconds = 0;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ':');) {
    double value = 0;
    const char* end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, value, std::chars_format::fixed);
    if (error != std::errc() || stop != end || !(value >= 0)) {
      throw std::runtime_error("no time: \"" + text + "\"");
    }
    seconds = 60 * seconds + value;
  }
  if (text.empty() || text.back() == ':' || !std::isfinite(seconds)) {
    throw std::runtime_error("no time: \"" + text + "\"");
  }
  return seconds;
}

std::string id_text(const json& id) {
  return id.is_string() ? id.get<std::string>() : id.dump();
}

std::string option_letter(int64_t index) {
  if (index < 0 || index >= 26) throw std::out_of_range("option " + std::to_string(index));
  return std::string(1, static_cast<char>('A' + index));
}

}  // namespace streamo::eval
