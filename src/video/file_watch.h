// What goes along with the work on one file: its time limit, and what FFmpeg says meanwhile.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "ffmpeg_log.h"
#include "streamo/core/error.h"
#include "time_limit.h"

namespace streamo::video {

// "clip.mp4: what"; what is secret in a URL is left out.
core::Fault file_fault(const std::filesystem::path& path, std::string_view what);

struct FileWatch {
  FileWatch(std::filesystem::path file, double seconds)
      : path(std::move(file)), limit(seconds), log(path.string()) {}

  std::filesystem::path path;
  TimeLimit limit;
  FfmpegLog log;
};

core::Fault time_limit_fault(const FileWatch& watch, bool is_left_behind);

// The result of `work`, or a Fault when the file did not get on within its limit. `work` runs on
// another thread, which may outlive this call: what it uses it must own.
template <typename T>
core::Result<T> run_watched(const std::shared_ptr<FileWatch>& watch,
                            std::function<core::Result<T>()> work) {
  if (watch->limit.was_up()) return time_limit_fault(*watch, false);
  watch->limit.renew();
  const auto result = std::make_shared<std::optional<core::Result<T>>>();
  const bool is_done = run_within(watch->limit, [watch, result, work = std::move(work)] {
    const FfmpegLog::Scope scope(watch->log);
    result->emplace(work());
    if (!**result) watch->log.dismiss();
  });
  if (!is_done || watch->limit.was_up()) return time_limit_fault(*watch, !is_done);
  return *std::move(*result);
}

}  // namespace streamo::video
