// The pixel limits of a model's images, from its image processor.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/brief.h"
#include "model/hf_directory.h"
#include "model/image_processor.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what, const std::string& file) {
  throw core::Error(core::ErrorKind::kModel, what, file,
                    "give a whole number, or leave the key out");
}

std::optional<int64_t> pixels(const Json& json, const char* key, const std::string& file) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  if (found->is_number_integer() && *found > 0 && *found <= kMaxPixelLimit) {
    return found->get<int64_t>();
  }
  refuse(fmt::format("{} is {}, which is no number of pixels from 1 to {}", key,
                     core::brief(found->dump()), kMaxPixelLimit),
         file);
}

}  // namespace

PictureLimits picture_limits(const std::filesystem::path& model_dir) {
  const auto processor = find_image_processor(model_dir);
  if (!processor) return {};
  const Json& json = processor->settings;
  const Json size = json.value("size", Json());
  if (!size.is_null() && !size.is_object()) refuse("size is no object", processor->file);
  // transformers 5 writes the limits as the square of an edge that is none; some versions of 4 put
  // their own names into "size".
  const auto first_of = [&](const char* key, const char* edge) {
    if (const auto limit = pixels(json, key, processor->file)) return limit;
    if (!size.is_object()) return std::optional<int64_t>();
    const auto limit = pixels(size, edge, processor->file);
    return limit ? limit : pixels(size, key, processor->file);
  };
  const PictureLimits limits{.least = first_of("min_pixels", "shortest_edge"),
                             .most = first_of("max_pixels", "longest_edge")};
  if (limits.least && limits.most && *limits.least > *limits.most) {
    refuse(fmt::format("at least {} pixels, and at most {}", *limits.least, *limits.most),
           processor->file);
  }
  return limits;
}

}  // namespace streamo::model
