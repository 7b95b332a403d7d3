// Distinguishes faults of a file from failures of the machine while it is read.
#include "video/cache/file_watch.h"

extern "C" {
#include <libavutil/error.h>
}
#include <sys/mman.h>

#include "core/io/system_error.h"
#include "core/url.h"

namespace streamo::video {

core::Fault file_fault(const std::filesystem::path& path, std::string_view what) {
  return {fmt::format("{}: {}", core::redact_source(path), what)};
}

int FileWatch::failed(int error) {
  if (core::classify_errno(error) != core::Trouble::kBroken) machine_error = error;
  return AVERROR(error);
}

void require_no_machine_error(const FileWatch& watch) {
  const int error = watch.machine_error;
  if (error != 0)
    throw core::system_error(error, "cannot be read", core::redact_source(watch.path));
}

void require_memory(const FileWatch& watch) {
  constexpr size_t kLittle = 64 << 20;  // what any video may take
  void* piece = ::mmap(nullptr, kLittle, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (piece == MAP_FAILED)
    throw core::system_error(ENOMEM, "cannot be read", core::redact_source(watch.path));
  ::munmap(piece, kLittle);
}

core::Fault time_limit_fault(FileWatch& watch, bool is_left_behind) {
  watch.in_work.end();
  std::string what =
      fmt::format("it did not get on for {:g} s and was given up", watch.limit.seconds());
  if (is_left_behind) {
    what += fmt::format("; it cannot be interrupted, so its thread was left behind ({} so far)",
                        num_abandoned_threads());
  }
  return file_fault(watch.path, what);
}

}  // namespace streamo::video
