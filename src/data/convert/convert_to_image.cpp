// Extracts each video's frames to PNG once, whichever sample asks first, and rewrites the <stream>
// placeholders to <image>.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/convert/conversion_output.h"
#include "data/convert/convert.h"
#include "data/samples/memoize.h"
#include "streamo/video/sampler.h"
#include "video/image/png.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using core::Fault;
using core::Result;
using nlohmann::json;

// A conversation and the folder of its frames.
struct Task {
  Conversation conversation;
  fs::path video, folder;
  std::string place;  // of the record, for messages
};

struct Extracted {
  int64_t num_samples = 0;  // of the video
  int64_t num_written = 0;  // pictures in the folder, at least one
};

// Gives each video a folder of its own, named like the video. Called in the order of the input.
class FolderNames {
 public:
  const std::string& folder_name(const fs::path& video) {
    const auto [entry, is_new] = names_.try_emplace(video.string());
    if (is_new) entry->second = unused_name(video.stem().string());
    return entry->second;
  }

 private:
  std::string unused_name(const std::string& stem) {
    // Not ".." or the like: the pictures stay below the folder that was asked for.
    const std::string wanted = stem.find_first_not_of('.') == std::string::npos ? "video" : stem;
    std::string name = wanted;
    for (int i = 2; !used_.insert(name).second; ++i) name = fmt::format("{}-{}", wanted, i);
    return name;
  }

  std::map<std::string, std::string> names_;
  std::set<std::string> used_;
};

std::string picture_name(int64_t index) {
  return fmt::format("{:06}.png", index);
}

Result<Extracted> extract_frames(const Task& task, const ToImageOptions& options) {
  Result<video::FrameSampler> sampler = video::FrameSampler::open(task.video, {.fps = options.fps});
  if (!sampler) return sampler.fault();
  Extracted extracted{sampler->info().num_samples, 0};
  std::error_code error;
  fs::create_directories(task.folder, error);  // if it fails, writing the first picture says why
  const int64_t wanted = std::min(extracted.num_samples, options.max_frames.value_or(INT64_MAX));
  while (extracted.num_written < wanted) {
    Result<std::optional<video::Frame>> frame = sampler->next();
    if (!frame) return frame.fault();
    if (!frame->has_value()) break;
    video::write_png(task.folder / picture_name(extracted.num_written), (*frame)->size,
                     (*frame)->rgb);
    ++extracted.num_written;
  }
  if (extracted.num_written == 0) return Fault{task.video.string() + ": no frame"};
  return extracted;
}

// Cuts the rounds whose placeholders are not among the first `max_frames`.
void truncate_rounds(Conversation& conversation, int64_t max_frames, ConversionLosses& losses) {
  std::vector<text::Message>& messages = conversation.messages;
  int64_t frames = 0;
  size_t keep = 0;
  while (keep < messages.size()) {
    frames += text::count_placeholders(messages[keep].content);
    if (frames > max_frames) break;
    ++keep;
  }
  if (keep == messages.size()) return;
  const auto is_user = [](const text::Message& message) { return message.role == "user"; };
  const auto first_cut = messages.begin() + static_cast<std::ptrdiff_t>(keep);
  losses.truncated.push_back(fmt::format("{} of {} rounds are beyond the first {} frames",
                                         std::count_if(first_cut, messages.end(), is_user),
                                         std::count_if(messages.begin(), messages.end(), is_user),
                                         max_frames));
  messages.erase(first_cut, messages.end());
}

// Makes every `<stream>` an `<image>`; returns how many there were.
int64_t replace_placeholders(Conversation& conversation) {
  constexpr std::string_view kFrom = text::kStreamPlaceholder, kTo = text::kImagePlaceholder;
  int64_t count = 0;
  for (text::Message& message : conversation.messages) {
    for (size_t at = 0; (at = message.content.find(kFrom, at)) != std::string::npos; ++count) {
      message.content.replace(at, kFrom.size(), kTo);
      at += kTo.size();
    }
  }
  return count;
}

class ImageConverter {
 public:
  ImageConverter(const ToImageOptions& options, const RecordFile& input)
      : options_(options), input_(input) {}

  // In the order of the input.
  Result<Task> claim(size_t index) {
    const Result<json> record = input_.read(index);
    if (!record) return record.fault();
    Result<Conversation> conversation = parse_stream_json(*record);
    std::string place = input_.place(index);
    if (!conversation) return Fault{fmt::format("{}: {}", place, conversation.reason())};
    if (conversation->video_path.empty())
      return Fault{place + ": already has <image> placeholders"};
    const fs::path video =
        (input_.path().parent_path() / conversation->video_path).lexically_normal();
    fs::path folder = options_.frame_dir / folders_.folder_name(video);
    return Task{*std::move(conversation), video, std::move(folder), std::move(place)};
  }

  // On any thread.
  Result<Converted> convert(Result<Task> claimed) {
    if (!claimed) return claimed.fault();
    Task& task = *claimed;
    const Result<Extracted>& extracted =
        extracted_.get(task.video.string(), [&] { return extract_frames(task, options_); });
    if (!extracted) return extracted.fault();
    if (const auto fault =
            check_num_frames(task.conversation, extracted->num_samples, task.video.string()))
      return Fault{task.place + ": " + fault->reason};
    Converted converted;
    if (options_.max_frames) {
      truncate_rounds(task.conversation, *options_.max_frames, converted.losses);
    }
    converted.turns = replace_placeholders(task.conversation);
    if (converted.turns == 0) return Fault{task.place + ": no round within the frame limit"};
    const fs::path folder = path_seen_from(options_.output, task.folder);
    for (int64_t i = 0; i < converted.turns; ++i) {
      const int64_t picture = std::min(i, extracted->num_written - 1);
      task.conversation.image_paths.push_back((folder / picture_name(picture)).string());
    }
    converted.text = to_line(task.conversation);
    return converted;
  }

 private:
  const ToImageOptions& options_;
  const RecordFile& input_;
  FolderNames folders_;
  Memoized<Result<Extracted>> extracted_;  // by video path
};

}  // namespace

ConversionReport convert_to_image(const ToImageOptions& options) {
  const RecordFile input(options.input);
  require_records(input);
  ImageConverter converter(options, input);
  return convert_records(
      input, options.output, options.num_workers,
      [&](size_t index) { return converter.claim(index); },
      [&](Result<Task> task) { return converter.convert(std::move(task)); });
}

}  // namespace streamo::data
