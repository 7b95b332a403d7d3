#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/conversion_output.h"
#include "data/once_map.h"
#include "streamo/data/convert.h"
#include "streamo/data/sample_source.h"
#include "streamo/video/sampler.h"

namespace streamo::data {
namespace {

using core::Fault;
using core::Result;
using nlohmann::json;

class StreamConverter {
 public:
  StreamConverter(const ToStreamOptions& options, const RecordFile& input)
      : options_(options),
        input_(input),
        prefix_(options.video_prefix.empty() ? input.path().parent_path() : options.video_prefix) {}

  Result<Converted> convert(size_t index) {
    const Result<json> record = input_.read(index);
    if (!record) return record.fault();
    Result<Annotation> annotation = parse_annotation(*record);
    if (!annotation) {
      const bool is_stream = record->is_object() && record->contains("messages");
      return Fault{fmt::format("{}: {}", input_.place(index),
                               is_stream ? "already in stream format" : annotation.reason())};
    }
    const std::filesystem::path video = join_video_path(prefix_, annotation->video_path);
    const Result<video::VideoInfo>& info = infos_.get(
        video.string(), [&] { return video::probe(video, {.fps = options_.conversation.fps}); });
    if (!info) return info.fault();
    annotation->video_path = path_seen_from(options_.output, video);
    Converted converted;
    const Conversation conversation = build_conversation(*annotation, info->num_samples,
                                                         options_.conversation, &converted.losses);
    converted.text = to_line(conversation);
    converted.turns = info->num_samples;
    return converted;
  }

 private:
  const ToStreamOptions& options_;
  const RecordFile& input_;
  const std::filesystem::path prefix_;
  OnceMap<Result<video::VideoInfo>> infos_;  // by video path: a video has several samples
};

}  // namespace

ConversionReport convert_to_stream(const ToStreamOptions& options) {
  const RecordFile input(options.input);
  require_records(input);
  StreamConverter converter(options, input);
  return convert_records(
      input, options.output, options.num_workers, [](size_t index) { return index; },
      [&](size_t index) { return converter.convert(index); });
}

}  // namespace streamo::data
