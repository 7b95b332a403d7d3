// Tells the two formats apart, resolves paths, and memoizes what is expensive and shared between
// samples: probing, content ids and decoded frames.
#include "data/samples/sample_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/suggest.h"
#include "data/formats/json_fields.h"
#include "data/samples/content_id.h"
#include "data/samples/frame_memory.h"
#include "data/samples/memoize.h"
#include "video/image/picture.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using core::ErrorKind;
using core::Fault;
using core::Result;
using nlohmann::json;

bool is_raw(const fs::path& path, const RecordFile& records, const std::string& format) {
  if (format != "auto") return format == "raw";
  const Result<json> first = records.read(0);
  if (!first) throw core::Error(ErrorKind::kData, first.reason(), "", "repair the record");
  const Result<RecordFormat> found = detect_format(*first);
  if (!found) {
    throw core::Error(ErrorKind::kData, found.reason(), path.string(),
                      "a raw annotation has video_path, question and response, "
                      "the stream format has messages and videos");
  }
  return *found == RecordFormat::kRaw;
}

}  // namespace

struct SampleSource::Shared {
  explicit Shared(int64_t frame_memory_bytes) : frames(frame_memory_bytes) {}
  Memoized<Result<video::VideoInfo>> infos;   // by video path
  Memoized<Result<std::string>> content_ids;  // by path
  FrameMemory frames;                         // by video path
};

Result<RecordFormat> detect_format(const json& record) {
  if (!record.is_object()) return Fault{"a record must be an object, not " + json_kind(record)};
  if (record.contains("messages")) return RecordFormat::kStream;
  for (const char* name : {"response", "question", "video_path"}) {
    if (record.contains(name)) return RecordFormat::kRaw;
  }
  for (const char* name : {"messages", "response", "question", "video_path"}) {
    if (!misspelt_key(record, name, {}).empty()) return missing_field(record, name, {}, "");
  }
  return missing_field(record, "messages", {}, "");
}

SampleSource::SampleSource(const std::vector<fs::path>& files, SourceOptions options)
    : options_(std::move(options)), shared_(std::make_unique<Shared>(options_.frame_memory_bytes)) {
  std::map<fs::path, int> uses;
  for (const fs::path& path : files) ++uses[path.filename()];
  for (const fs::path& path : files) {
    File file{.records = std::make_unique<RecordFile>(path),
              .root = VideoRoot(options_.video_prefix, options_.allow_outside_prefix,
                                path.parent_path())};
    if (file.records->size() == 0) {
      throw core::Error(ErrorKind::kData, "the file has no records", path.string(),
                        "give a file with samples");
    }
    file.first_index = size_;
    file.raw = is_raw(path, *file.records, options_.format);
    file.name = uses[path.filename()] == 1 ? path.filename().string() : path.string();
    size_ += file.records->size();
    files_.push_back(std::move(file));
  }
}

SampleSource::~SampleSource() = default;

size_t SampleSource::size() const {
  return size_;
}

std::vector<fs::path> SampleSource::files() const {
  std::vector<fs::path> paths;
  for (const File& file : files_) paths.push_back(file.records->path());
  return paths;
}

const SampleSource::File& SampleSource::containing_file(size_t index) const {
  STREAMO_CHECK(index < size_, fmt::format("sample {} of {}", index, size_));
  const auto after =
      std::upper_bound(files_.begin(), files_.end(), index,
                       [](size_t i, const File& file) { return i < file.first_index; });
  return *std::prev(after);
}

std::string SampleSource::id(size_t index) const {
  const File& file = containing_file(index);
  return fmt::format("{}:{}", file.name, index - file.first_index);
}

Result<video::VideoInfo> SampleSource::video_info(const std::string& path) const {
  const video::SampleOptions options{.fps = options_.conversation.fps,
                                     .time_limit = options_.decode_timeout};
  return shared_->infos.get(path, [&] {
    return options_.frame_cache ? options_.frame_cache->probe(path, options)
                                : video::probe(path, options);
  });
}

video::SampleOptions SampleSource::sample_options() const {
  return {.fps = options_.conversation.fps,
          .pixel_limits = options_.pixel_limits,
          .resize = options_.resize,
          .time_limit = options_.decode_timeout};
}

std::string SampleSource::record_place(size_t index) const {
  const File& file = containing_file(index);
  return file.records->place(index - file.first_index);
}

Result<std::string> SampleSource::video_path(size_t index) const {
  Result<Record> record = this->record(index);
  if (!record) return record.fault();
  if (auto fault = resolve_paths(*record)) return *std::move(fault);
  if (const auto* annotation = std::get_if<Annotation>(&record->content)) {
    return annotation->video_path;
  }
  return std::get<Conversation>(record->content).video_path;
}

Result<Record> SampleSource::record(size_t index) const {
  const File& file = containing_file(index);
  const Result<json> value = file.records->read(index - file.first_index);
  if (!value) return value.fault();
  const auto at_place = [&](const Fault& fault) {
    return Fault{fmt::format("{}: {}", record_place(index), fault.reason)};
  };
  if (file.raw) {
    Result<Annotation> annotation = parse_annotation(*value);
    if (!annotation) return at_place(annotation.fault());
    return Record{index, *std::move(annotation)};
  }
  Result<Conversation> conversation = parse_stream_json(*value);
  if (!conversation) return at_place(conversation.fault());
  return Record{index, *std::move(conversation)};
}

std::vector<std::string*> SampleSource::paths_in(Record& record) {
  std::vector<std::string*> paths;
  if (auto* annotation = std::get_if<Annotation>(&record.content)) {
    paths.push_back(&annotation->video_path);
  } else {
    auto& conversation = std::get<Conversation>(record.content);
    if (!conversation.video_path.empty()) paths.push_back(&conversation.video_path);
    for (std::string& path : conversation.image_paths) paths.push_back(&path);
  }
  return paths;
}

std::optional<Fault> SampleSource::resolve_paths(Record& record) const {
  for (std::string* path : paths_in(record)) {
    Result<fs::path> located = containing_file(record.index).root.locate(*path);
    if (!located) return Fault{record_place(record.index) + ": " + located.reason()};
    *path = located->string();
  }
  return std::nullopt;
}

Result<Conversation> SampleSource::to_conversation(Record record, ConversionLosses* losses) const {
  if (const auto* annotation = std::get_if<Annotation>(&record.content)) {
    const auto info = video_info(annotation->video_path);
    if (!info) return info.fault();
    return build_conversation(*annotation, info->num_samples, options_.conversation, losses);
  }
  auto& conversation = std::get<Conversation>(record.content);
  auto available = static_cast<int64_t>(conversation.image_paths.size());
  std::string of = "\"images\"";
  if (!conversation.video_path.empty()) {
    of = conversation.video_path;
    const auto info = video_info(of);
    if (!info) return info.fault();
    available = info->num_samples;
  }
  if (auto fault = check_num_frames(conversation, available, of)) {
    return Fault{record_place(record.index) + ": " + fault->reason};
  }
  return std::move(conversation);
}

Result<Conversation> SampleSource::conversation(size_t index) const {
  Result<Record> record = this->record(index);
  if (!record) return record.fault();
  if (auto fault = resolve_paths(*record)) return *std::move(fault);
  return to_conversation(*std::move(record), nullptr);
}

Result<std::vector<video::Frame>> SampleSource::read_images(
    const std::vector<std::string>& paths) const {
  std::vector<video::Frame> frames;
  for (const std::string& path : paths) {
    auto picture = video::read_picture(path, options_.pixel_limits);
    if (!picture) return picture.fault();
    video::Frame frame;
    frame.index = static_cast<int64_t>(frames.size());
    frame.time = static_cast<double>(frame.index) / options_.conversation.fps;
    frame.size = picture->size;
    frame.rgb = std::move(picture->rgb);
    frames.push_back(std::move(frame));
  }
  return frames;
}

Result<std::vector<video::Frame>> SampleSource::sample_video(const std::string& path) const {
  return options_.frame_cache ? options_.frame_cache->sample_video(path, sample_options())
                              : video::sample_video(path, sample_options());
}

Result<std::vector<video::Frame>> SampleSource::frames(const Conversation& conversation) const {
  Result<std::vector<video::Frame>> frames = std::vector<video::Frame>();
  std::string of = conversation.video_path;
  if (!conversation.image_paths.empty()) {
    frames = read_images(conversation.image_paths);
    if (!frames) return frames;
    of = "\"images\"";
  } else {
    auto shared = shared_->frames.get(of, [&] { return sample_video(of); });
    if (!shared) return shared.fault();
    *frames = **shared;
  }
  const auto found = static_cast<int64_t>(frames->size());
  if (auto fault = check_num_frames(conversation, found, of)) return *fault;
  if (frames->empty()) return Fault{of + ": no frame"};
  const auto wanted = static_cast<size_t>(num_placeholders(conversation));
  frames->resize(wanted, video::Frame(frames->back()));
  return frames;
}

Result<Sample> SampleSource::load(size_t index) const {
  Result<Conversation> conversation = this->conversation(index);
  if (!conversation) return conversation.fault();
  Result<std::vector<video::Frame>> pictures = frames(*conversation);
  if (!pictures) return Fault{id(index) + ": " + pictures.reason()};
  return Sample{id(index), *std::move(conversation), *std::move(pictures)};
}

std::vector<FileContent> SampleSource::file_contents() const {
  std::vector<FileContent> contents;
  for (const File& file : files_)
    contents.push_back({file.name, file.records->size(), core::hash_file(file.records->path())});
  return contents;
}

Result<std::string> SampleSource::content_id(size_t index) const {
  Result<Record> record = this->record(index);
  if (!record) return record.fault();
  if (auto fault = resolve_paths(*record)) return *std::move(fault);
  std::string ids;
  for (const std::string* path : paths_in(*record)) {
    const Result<std::string>& id =
        shared_->content_ids.get(*path, [&] { return data::content_id(*path); });
    if (!id) return id.fault();
    ids += *id;
  }
  return core::hash_bytes(ids);
}

}  // namespace streamo::data
