#include "text/model_file.h"

#include <fmt/format.h>

#include "streamo/core/error.h"
#include "streamo/core/file.h"

namespace streamo::text {
namespace {

constexpr uintmax_t kMaxBytes = uintmax_t{512} << 20;

}  // namespace

std::string read_model_file(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw core::Error(core::ErrorKind::kModel, "no such file", path.string(),
                      "copy it from where the model was published");
  }
  if (const uintmax_t size = std::filesystem::file_size(path); size > kMaxBytes) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("has {} bytes, too many for a tokenizer's file", size),
                      path.string(), "copy it again from where the model was published");
  }
  return core::read_file(path);
}

}  // namespace streamo::text
