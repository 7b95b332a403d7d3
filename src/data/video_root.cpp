#include "streamo/data/video_root.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace streamo::data {

namespace fs = std::filesystem;

VideoRoot::VideoRoot(const fs::path& prefix, bool allow_outside, const fs::path& annotation_folder)
    : folder_(prefix.empty() ? annotation_folder : prefix) {
  if (prefix.empty() || allow_outside) return;
  std::error_code error;
  confines_ = fs::weakly_canonical(fs::absolute(prefix), error);
  // Links in a circle: nothing can be read through them, and each file will say so.
  if (error) confines_ = fs::absolute(prefix).lexically_normal();
  if (!confines_.has_filename()) confines_ = confines_.parent_path();  // "videos/"
}

core::Result<fs::path> VideoRoot::locate(const std::string& path) const {
  const fs::path joined = folder_ / path;  // an absolute path replaces what is before it
  if (confines_.empty()) return joined;
  std::error_code error;
  const fs::path real = fs::weakly_canonical(fs::absolute(joined), error);
  if (error) return core::Fault{fmt::format("{}: {}", joined.string(), error.message())};
  const auto [end, unused] =
      std::mismatch(confines_.begin(), confines_.end(), real.begin(), real.end());
  if (end == confines_.end()) return joined;
  return core::Fault{fmt::format(
      "{} leads out of the video prefix {}, to {} (data.allow_outside_prefix would allow it)", path,
      folder_.string(), real.string())};
}

}  // namespace streamo::data
