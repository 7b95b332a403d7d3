// Bounded reading of tokenizer files, for all tokenizer formats.
#include "text/sentencepiece/model_file.h"

#include <fmt/format.h>

#include "core/io/file.h"
#include "core/json/json.h"
#include "streamo/core/error.h"

namespace streamo::text {
namespace {

constexpr const char* kHint = "copy the file again from where the model was published";

}  // namespace

std::string read_model_file(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw core::Error(core::ErrorKind::kModel, "no such file", path.string(), kHint);
  }
  if (const uintmax_t size = std::filesystem::file_size(path); size > kMaxModelFileBytes) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("has {} bytes, too many for a tokenizer's file", size),
                      path.string(), kHint);
  }
  return core::read_file(path);
}

nlohmann::json read_model_json(const std::filesystem::path& path) {
  return core::require_json_object(path, core::ErrorKind::kModel, kHint,
                                   {.max_bytes = kMaxModelFileBytes});
}

}  // namespace streamo::text
