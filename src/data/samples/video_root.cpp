// Resolves annotation paths against their folder, and refuses those that lead out of it.
#include "data/samples/video_root.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "core/url.h"

namespace streamo::data {

namespace fs = std::filesystem;

namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
}

}  // namespace

VideoRoot::VideoRoot(const fs::path& prefix, bool allow_outside, const fs::path& annotation_folder)
    : folder_(prefix.empty() ? annotation_folder : prefix), allow_outside_(allow_outside) {
  if (core::is_url(prefix)) {
    url_ = prefix.string();
    if (!url_.ends_with('/')) url_ += '/';
    return;
  }
  if (prefix.empty() || allow_outside) return;
  std::error_code error;
  confines_ = fs::weakly_canonical(fs::absolute(prefix), error);
  // Links in a circle: nothing can be read through them, and each file will say so.
  if (error) confines_ = fs::absolute(prefix).lexically_normal();
  if (!confines_.has_filename()) confines_ = confines_.parent_path();  // "videos/"
}

core::Result<fs::path> VideoRoot::locate_below_url(const std::string& path) const {
  const bool is_whole = core::is_url(path);
  std::string url = is_whole ? path : url_ + path;
  const bool leads_out = !url.starts_with(url_) || path.starts_with('/') ||
                         ("/" + path + "/").find("/../") != std::string::npos;
  const bool may_lead_out = allow_outside_ && !is_whole;
  const bool is_one_line = std::none_of(path.begin(), path.end(), is_control);
  if (is_one_line && (!leads_out || may_lead_out)) return fs::path(url);
  return core::Fault{fmt::format("{} leads out of the video prefix {}", core::redact_source(path),
                                 core::redact_source(url_))};
}

core::Result<fs::path> VideoRoot::locate(const std::string& path) const {
  if (!url_.empty()) return locate_below_url(path);
  const fs::path joined = folder_ / path;  // an absolute path replaces what is before it
  std::error_code error;
  if (core::is_url(path) && !fs::exists(joined, error)) {
    return core::Fault{core::redact_source(path) +
                       " is a URL, which is fetched for a video prefix only that is one"};
  }
  if (confines_.empty()) return joined;
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
