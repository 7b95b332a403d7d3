#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "streamo/core/error.h"
#include "streamo/model/hf_directory.h"
#include "strict_json.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::optional<int64_t> pixels(const Json& json, const char* key, const fs::path& file) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  if (found->is_number_integer() && found->get<int64_t>() > 0) return found->get<int64_t>();
  throw core::Error(core::ErrorKind::kModel,
                    fmt::format("{} is {}, which is no number of pixels", key, found->dump()),
                    file.string(), "give a whole number, or leave the key out");
}

}  // namespace

PictureLimits picture_limits(const fs::path& model_dir) {
  const fs::path file = model_dir / "preprocessor_config.json";
  if (!fs::exists(file)) return {};
  const Json json = read_json_object(file);
  // transformers 5 writes the limits as the square of an edge that is none.
  const Json size = json.value("size", Json::object());
  const auto either = [&](const char* key, const char* edge) {
    const auto limit = pixels(json, key, file);
    return limit ? limit : pixels(size, edge, file);
  };
  return {.least = either("min_pixels", "shortest_edge"),
          .most = either("max_pixels", "longest_edge")};
}

}  // namespace streamo::model
