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
#include "streamo/video/frame_cache.h"
#include "streamo/video/sampler.h"

namespace streamo::data {

struct SourceOptions {
  std::string format = "auto";  // auto | raw | stream: auto looks at the first record of each file
  // In front of relative video paths; empty: the annotation file's folder.
  std::filesystem::path video_prefix;
  ConversationOptions conversation;
  video::PixelLimits pixel_limits;
  video::ResizeMode resize = video::ResizeMode::kFast;  // of video frames
  int64_t frame_memory_bytes = 256 << 20;  // for resized pictures that samples of one video share
  std::shared_ptr<video::FrameCache> frame_cache;  // may be shared with other sources; null: none
};

enum class RecordFormat { kRaw, kStream };
// Told by the fields; a Fault names the unknown ones and the nearest right one.
core::Result<RecordFormat> detect_format(const nlohmann::json& record);

// An absolute path as it is, another behind the prefix.
std::filesystem::path join_video_path(const std::filesystem::path& prefix, const std::string& path);

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
  ~SampleSource();

  size_t size() const;
  std::string id(size_t index) const;
  // Without decoding: a video is only probed, once for all its samples. Paths are resolved. The
  // frames must be as many as the placeholders; one more or less is no Fault: load() mends it. May
  // be called from many threads.
  core::Result<Conversation> conversation(size_t index) const;
  // The video of a sample, empty where it has pictures; nothing is probed.
  core::Result<std::string> video_path(size_t index) const;
  // What probing a video says, read once for all its samples. May be called from many threads.
  core::Result<video::VideoInfo> video_info(const std::string& path) const;
  // Decodes the pictures; of one too many the last is dropped, one too few repeats the last. May be
  // called from many threads.
  core::Result<Sample> load(size_t index) const;
  // The pictures of a whole conversation, as many as it has placeholders.
  core::Result<std::vector<video::Frame>> frames(const Conversation& conversation) const;
  // A hash of the files' names, sizes and record offsets: tells whether a resumed run sees the same
  // data.
  std::string fingerprint() const;
  const SourceOptions& options() const { return options_; }
  video::SampleOptions sample_options() const;  // of its videos
  // For a model that is made only after its training texts were read. Before the first load().
  void set_pixel_limits(const video::PixelLimits& limits) { options_.pixel_limits = limits; }

 private:
  struct File {
    std::unique_ptr<RecordFile> records;
    size_t first_index = 0;
    bool raw = false;
    std::filesystem::path video_prefix;
    std::string name;  // in ids: the file's name, or its path where two files have one name
  };
  struct Shared;  // what is known about videos already

  const File& file_of(size_t index) const;
  core::Result<Conversation> parse(const File& file, size_t record) const;
  core::Result<std::vector<video::Frame>> sample_video(const std::string& path) const;
  core::Result<std::vector<video::Frame>> read_images(const std::vector<std::string>& paths) const;

  std::vector<File> files_;
  size_t size_ = 0;
  SourceOptions options_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace streamo::data
