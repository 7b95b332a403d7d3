// What goes along with the work on one file: its time limit, and what FFmpeg says meanwhile.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "core/process/progress.h"
#include "core/url.h"
#include "streamo/core/error.h"
#include "video/ffmpeg/ffmpeg_log.h"
#include "video/ffmpeg/time_limit.h"

namespace streamo::video {

// "clip.mp4: what"; what is secret in a URL is left out.
core::Fault file_fault(const std::filesystem::path& path, std::string_view what);

struct FileWatch {
  FileWatch(std::filesystem::path file, double seconds)
      : path(std::move(file)),
        limit(seconds),
        log(path.string()),
        in_work(core::redact_source(path)) {}

  // Notes that a system call failed for good; FFmpeg's code of `error`. FFmpeg takes some for the
  // end of the file.
  int failed(int error);

  std::filesystem::path path;
  TimeLimit limit;
  FfmpegLog log;
  std::atomic<int> machine_error{0};  // of a call that failed, if the file is not to blame
  core::FileInWork in_work;
};

// Throws what is no fault of the file: Error{kMemory} or {kDisk}.
void require_no_machine_error(const FileWatch& watch);
// Likewise when there is hardly any memory left: what cannot be read then may be a sound file.
void require_memory(const FileWatch& watch);

core::Fault time_limit_fault(FileWatch& watch, bool is_left_behind);

// The result of `work`, or a Fault when the file did not get on within its limit. `work` runs on
// another thread, which may outlive this call: what it uses it must own.
template <typename T>
core::Result<T> run_watched(const std::shared_ptr<FileWatch>& watch,
                            std::function<core::Result<T>()> work) {
  if (watch->limit.has_expired()) return time_limit_fault(*watch, false);
  watch->limit.renew();
  const auto result = std::make_shared<std::optional<core::Result<T>>>();
  const bool is_done = run_within(watch->limit, [watch, result, work = std::move(work)] {
    const FfmpegLog::Scope scope(watch->log);
    result->emplace(work());
    if (!**result) watch->log.dismiss();
  });
  require_no_machine_error(*watch);
  if (is_done && !**result) require_memory(*watch);
  if (!is_done || watch->limit.has_expired()) return time_limit_fault(*watch, !is_done);
  return *std::move(*result);
}

}  // namespace streamo::video
