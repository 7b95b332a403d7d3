// The bytes of one regular file for FFmpeg.
//
// FFmpeg's own file protocol waits for ever on a pipe without a writer and cannot be stopped. This
// one opens without waiting, takes regular files only, and stops when the time limit is up.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "video/cache/file_watch.h"
#include "video/ffmpeg/ffmpeg_handles.h"

namespace streamo::video {

class FileSource {
 public:
  FileSource(std::string path, FileWatch& watch) : path_(std::move(path)), watch_(watch) {}

  // What FFmpeg is to call the file. "file:", because it takes what stands before a colon for a
  // protocol.
  std::string url() const { return "file:" + path_; }
  struct Closer {
    void operator()(AVIOContext* opened) const;
  };
  using Bytes = std::unique_ptr<AVIOContext, Closer>;
  Bytes open() const;  // null: it cannot be opened

  // From then on `context`, which this must outlive, reads the file, and can open no other. 0, or
  // FFmpeg's error code.
  int attach(AVFormatContext& context);

 private:
  static int open_again(AVFormatContext* context, AVIOContext** opened, const char* url, int flags,
                        AVDictionary** options);
  int open(AVIOContext** opened) const;

  std::string path_;
  FileWatch& watch_;
  Bytes opened_;
};

}  // namespace streamo::video
