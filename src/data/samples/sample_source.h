// The samples of one or more annotation files, raw or stream format, converted when asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/formats/record_file.h"
#include "data/samples/conversation.h"
#include "data/samples/video_root.h"
#include "streamo/core/error.h"
#include "streamo/video/sampler.h"
#include "video/cache/frame_cache.h"

namespace streamo::data {

struct SourceOptions {
  std::string format = "auto";  // auto | raw | stream: auto looks at the first record of each file
  // In front of relative video paths, and what no path may leave unless `allow_outside_prefix`;
  // empty: the annotation file's folder, and no limit (VideoRoot).
  std::filesystem::path video_prefix;
  bool allow_outside_prefix = false;
  ConversationOptions conversation;
  video::PixelLimits pixel_limits;
  video::ResizeMode resize = video::ResizeMode::kFast;  // of video frames
  double decode_timeout = video::SampleOptions().time_limit;
  int64_t frame_memory_bytes = 256 << 20;  // for resized pictures that samples of one video share
  std::shared_ptr<video::FrameCache> frame_cache;  // may be shared with other sources; null: none
};

enum class RecordFormat { kRaw, kStream };
// Told by the fields; a Fault names the unknown ones and the nearest right one.
core::Result<RecordFormat> detect_format(const nlohmann::json& record);

// What a file says of one sample.
struct Record {
  size_t index = 0;  // of the sample in its SampleSource
  std::variant<Annotation, Conversation> content;
};

// One conversation with its pictures, as many as it has placeholders.
struct Sample {
  std::string id;  // FILE:RECORD, the same in every run
  Conversation conversation;
  std::vector<video::Frame> frames;
};

// An annotation file, told by its content.
struct FileContent {
  std::string name;  // for people
  size_t records = 0;
  std::string hash;
};

class SampleSource {
 public:
  // Throws core::Error{kData} for a missing, broken or empty file.
  SampleSource(const std::vector<std::filesystem::path>& files, SourceOptions options);
  ~SampleSource();

  size_t size() const;
  std::vector<std::filesystem::path> files() const;
  std::string id(size_t index) const;
  // Without decoding: a video is only probed, once for all its samples. Paths are resolved. The
  // frames must be as many as the placeholders; one more or less is no Fault: load() mends it. May
  // be called from many threads.
  core::Result<Conversation> conversation(size_t index) const;
  // The same in its three steps, each with the faults of its own: what the file says; paths that
  // lead where they may; turns that fit the video. `losses` may be null.
  core::Result<Record> record(size_t index) const;
  std::optional<core::Fault> resolve_paths(Record& record) const;
  core::Result<Conversation> to_conversation(Record record, ConversionLosses* losses) const;
  // The video of a sample, empty where it has pictures; nothing is probed.
  core::Result<std::string> video_path(size_t index) const;
  // What probing a video says, read once for all its samples. May be called from many threads.
  core::Result<video::VideoInfo> video_info(const std::string& path) const;
  // Decodes the pictures; of one too many the last is dropped, one too few repeats the last. May be
  // called from many threads.
  core::Result<Sample> load(size_t index) const;
  // The pictures of a whole conversation, as many as it has placeholders.
  core::Result<std::vector<video::Frame>> frames(const Conversation& conversation) const;
  // Tells whether a resumed run sees the same data, wherever they lie: what each annotation file
  // says, and the video or the pictures of a sample, of which not all is read. A Fault says which
  // file cannot be read.
  std::vector<FileContent> file_contents() const;
  core::Result<std::string> content_id(size_t index) const;
  const SourceOptions& options() const { return options_; }
  video::SampleOptions sample_options() const;  // of its videos
  // For a model that is made only after its training texts were read. Before the first load().
  void set_pixel_limits(const video::PixelLimits& limits) { options_.pixel_limits = limits; }

 private:
  struct File {
    std::unique_ptr<RecordFile> records;
    size_t first_index = 0;
    bool raw = false;
    VideoRoot root;
    std::string name = {};  // in ids: the file's name, or its path where two files have one name
  };
  struct Shared;  // what is known about videos already

  const File& containing_file(size_t index) const;
  static std::vector<std::string*> paths_in(Record& record);
  std::string record_place(size_t index) const;  // "FILE, record 3, line 17, column 5"
  core::Result<std::vector<video::Frame>> sample_video(const std::string& path) const;
  core::Result<std::vector<video::Frame>> read_images(const std::vector<std::string>& paths) const;

  std::vector<File> files_;
  size_t size_ = 0;
  SourceOptions options_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace streamo::data
