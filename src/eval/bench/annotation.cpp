#include "eval/bench/annotation.h"

#include <sstream>
#include <stdexcept>

#include "streamo/core/error.h"
#include "streamo/core/file.h"

namespace streamo::eval {

using nlohmann::json;

json read_json_or_lines(const std::filesystem::path& path) {
  const std::string text = core::read_file(path);
  json whole = json::parse(text, nullptr, /*allow_exceptions=*/false);
  // A file of one line is both; only the published single objects are told from lines by the
  // caller.
  if (!whole.is_discarded()) return whole;
  json entries = json::array();
  std::istringstream lines(text);
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    json entry = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object()) {
      throw core::Error(core::ErrorKind::kData, "neither JSON nor JSON Lines",
                        path.string() + ", line " + std::to_string(number),
                        "a line that a killed run left incomplete can be deleted");
    }
    entries.push_back(std::move(entry));
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
                      path.string() + ", " + entry, "see docs/evaluation.md");
  }
}

double clock_seconds(const std::string& text) {
  double seconds = 0;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ':');) seconds = 60 * seconds + std::stod(part);
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
