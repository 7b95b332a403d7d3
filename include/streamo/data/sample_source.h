// The samples of one or more annotation files, raw or stream format, converted when asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/data/conversation.h"
#include "streamo/data/record_file.h"
#include "streamo/video/sampler.h"

namespace streamo::data {

struct SourceOptions {
  std::string format = "auto";  // auto | raw | stream: auto looks at the first record of each file
  std::filesystem::path
      video_prefix;  // in front of relative video paths; empty: the annotation file's folder
  ConversationOptions conversation;
  video::PixelLimits pixel_limits;
};

// One conversation with its pictures, as many as it has placeholders.
struct Sample {
  std::string id;  // FILE:RECORD, the same in every run
  Conversation conversation;
  std::vector<video::Frame> frames;
};

class SampleSource {
 public:
  // Throws core::Error{kData} for a missing, broken or empty file.
  SampleSource(const std::vector<std::filesystem::path>& files, SourceOptions options);

  size_t size() const;
  std::string id(size_t index) const;
  // Without decoding: raw annotations only have their video probed. May be called from many
  // threads.
  core::Result<Conversation> conversation(size_t index) const;
  // Decodes the pictures. Frames against placeholders: one more is dropped, one less repeats the
  // last, more of a difference is a Fault. May be called from many threads.
  core::Result<Sample> load(size_t index) const;
  // The pictures of a conversation (a window of one starts at `first_frame`).
  core::Result<std::vector<video::Frame>> frames(const Conversation& conversation) const;
  // A hash of the files' names, sizes and record offsets: tells whether a resumed run sees the same
  // data.
  std::string fingerprint() const;
  const SourceOptions& options() const { return options_; }

 private:
  struct File {
    std::unique_ptr<RecordFile> records;
    size_t first_index = 0;
    bool raw = false;
    std::filesystem::path video_prefix;
  };
  const File& file_of(size_t index) const;
  std::vector<File> files_;
  size_t size_ = 0;
  SourceOptions options_;
};

}  // namespace streamo::data
