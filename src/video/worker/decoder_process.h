// A decoder process, as its parent sees it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "streamo/core/error.h"
#include "video/cache/file_watch.h"
#include "video/decode/frame_reader.h"
#include "video/ffmpeg/file_descriptor.h"
#include "video/worker/decode_in_processes.h"
#include "video/worker/decoder_messages.h"

namespace streamo::video {

// Whether this file is for such a process.
bool is_decoded_elsewhere(const std::filesystem::path& path);

class DecoderProcess {
 public:
  // Throws core::Error when the program cannot be started, or not be confined.
  explicit DecoderProcess(const std::filesystem::path& program);
  ~DecoderProcess();  // ends it
  DecoderProcess(const DecoderProcess&) = delete;
  DecoderProcess& operator=(const DecoderProcess&) = delete;

  // The answer, which is no Fault; a Fault also when the process crashes over it, or is ended
  // because the file does not get on. Throws what the process throws.
  core::Result<DecoderReply> ask(const DecoderRequest& request, FileWatch& watch, int file = -1);
  // The pixels of the frame that was answered last.
  core::Result<std::vector<uint8_t>> pixels(const Frame& frame, const FileWatch& watch);
  // Ends it, because what it answered cannot be.
  core::Fault disbelieve(const FileWatch& watch);
  // Drops the file it has open. False: it cannot be used for another.
  bool close_file();

 private:
  std::optional<std::string> receive(TimeLimit& limit);
  core::Result<DecoderReply> take(DecoderReply reply, FileWatch& watch);
  std::string end();

  pid_t process_ = -1;
  FileDescriptor socket_, memory_;
  std::string ended_;  // how, if it has
};

// Opens the file, and asks a process that is idle, or a new one.
core::Result<std::unique_ptr<FrameReader>> open_elsewhere(const std::filesystem::path& path,
                                                          const SampleOptions& options);
// kPicture or kPictureSize of a picture file: a frame, without pixels of the latter.
core::Result<Frame> picture_elsewhere(DecoderRequest::Kind kind, const std::filesystem::path& path,
                                      const SampleOptions& options);

}  // namespace streamo::video
