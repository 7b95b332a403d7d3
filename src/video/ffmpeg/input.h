// Opening a file or URL with FFmpeg: what may be opened, what is refused before memory is spent on
// it, and which of its streams is the video.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "streamo/core/error.h"
#include "video/cache/file_watch.h"
#include "video/ffmpeg/ffmpeg_handles.h"
#include "video/ffmpeg/file_descriptor.h"
#include "video/ffmpeg/file_source.h"

namespace streamo::video {

// Of one picture of a video: level 6.2 of H.264 and of HEVC, 8192x4352 (ITU-T H.264, table A-1).
inline constexpr int64_t kMaxPixels = 35'651'584;
// Of a video: 24 hours at 100 a second.
inline constexpr int64_t kMaxPackets = int64_t{24} * 3600 * 100;
inline constexpr double kMaxSeconds = 24 * 3600;  // of a video
// Streams of a file. More is no recording of anything.
inline constexpr int kMaxStreams = 1000;
// One allocation of FFmpeg. The largest pictures of picture.h need less; what a damaged header
// claims may be more.
inline constexpr size_t kMaxAllocation = size_t{768} << 20;

// Why there is nothing to read: no such file, a folder, a pipe or device, an empty file. Never
// waits. URLs are not looked at.
std::optional<core::Fault> missing_content(const std::filesystem::path& path);

enum class Reading {
  kTwice,  // a file or URL with an end
  kOnce,   // also what has none: standard input ("-"), pipes, live streams
};

// An opened file. FFmpeg may read this file and nothing else: a playlist, a script or an external
// reference in it reaches neither other files nor the network. A URL may lead to other URLs, never
// to files.
class Input {
 public:
  // The chosen stream is the one with the default disposition, else the largest; never an attached
  // picture. `max_pixels`: of a picture.
  static core::Result<Input> open(const std::shared_ptr<FileWatch>& watch, int64_t max_pixels,
                                  Reading reading = Reading::kTwice);

  const AVStream& stream() const { return *context_->streams[stream_index_]; }
  int stream_index() const { return stream_index_; }
  AVFormatContext& context() { return *context_; }
  const AVFormatContext& context() const { return *context_; }
  FileWatch& watch() { return *watch_; }
  const std::filesystem::path& path() const { return watch_->path; }

 private:
  Input(std::shared_ptr<FileWatch> watch, std::unique_ptr<FileSource> source, InputPtr context)
      : watch_(std::move(watch)), source_(std::move(source)), context_(std::move(context)) {}
  std::optional<core::Fault> choose_stream(int64_t max_pixels, Reading reading);

  std::shared_ptr<FileWatch> watch_;
  std::optional<FileDescriptor> pipe_;  // of what is read once
  std::unique_ptr<FileSource> source_;  // none for a URL
  InputPtr context_;                    // destroyed first: it closes what it opened through source_
  int stream_index_ = -1;
};

}  // namespace streamo::video
