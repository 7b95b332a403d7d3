#include "strict_json.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/core/file.h"

namespace streamo::model {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw core::Error(core::ErrorKind::kModel, what, path.string(), "the file is damaged");
}

}  // namespace

Json read_json_object(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw core::Error(core::ErrorKind::kModel, "no such file", path.string(),
                      "give a complete model directory");
  }
  const std::string text = core::read_file(path);
  std::vector<std::set<std::string>> open_objects;
  const auto callback = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) refuse(path, fmt::format("nested deeper than {}", kMaxDepth));
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key &&
        !open_objects.back().insert(parsed.get<std::string>()).second) {
      refuse(path, fmt::format("key {} is there twice", parsed.dump()));
    }
    return true;
  };
  Json json = Json::parse(text, callback, /*allow_exceptions=*/false);
  if (!json.is_object()) refuse(path, "not a JSON object");
  return json;
}

}  // namespace streamo::model
