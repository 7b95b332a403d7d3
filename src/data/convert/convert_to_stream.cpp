// Labels each turn of a raw annotation and writes the conversation; a video is probed once for all
// of its samples.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/convert/conversion_output.h"
#include "data/convert/convert.h"
#include "data/samples/memoize.h"
#include "data/samples/video_root.h"
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
        root_(options.video_prefix, options.allow_outside_prefix, input.path().parent_path()) {}

  Result<Converted> convert(size_t index) {
    const Result<json> record = input_.read(index);
    if (!record) return record.fault();
    Result<Annotation> annotation = parse_annotation(*record);
    if (!annotation) {
      const bool is_stream = record->is_object() && record->contains("messages");
      return Fault{fmt::format("{}: {}", input_.place(index),
                               is_stream ? "already in stream format" : annotation.reason())};
    }
    const Result<std::filesystem::path> located = root_.locate(annotation->video_path);
    if (!located) return Fault{fmt::format("{}: {}", input_.place(index), located.reason())};
    const std::filesystem::path& video = *located;
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
  const VideoRoot root_;
  Memoized<Result<video::VideoInfo>> infos_;  // by video path: a video has several samples
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
