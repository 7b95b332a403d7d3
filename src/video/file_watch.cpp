#include "file_watch.h"

#include "streamo/core/url.h"

namespace streamo::video {

core::Fault file_fault(const std::filesystem::path& path, std::string_view what) {
  return {fmt::format("{}: {}", core::redact_source(path), what)};
}

core::Fault time_limit_fault(const FileWatch& watch, bool is_left_behind) {
  std::string what =
      fmt::format("it did not get on for {:g} s and was given up", watch.limit.seconds());
  if (is_left_behind) {
    what += fmt::format("; it cannot be interrupted, so its thread was left behind ({} so far)",
                        threads_left_behind());
  }
  return file_fault(watch.path, what);
}

}  // namespace streamo::video
