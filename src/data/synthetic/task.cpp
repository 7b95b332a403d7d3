// Plans, encodes and annotates the clips in parallel; a marker file written last makes a second
// call return at once.
#include "data/synthetic/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/io/file.h"
#include "core/io/output.h"
#include "core/log.h"
#include "core/process/machine.h"
#include "core/process/parallel.h"
#include "data/synthetic/painter.h"
#include "data/synthetic/records.h"
#include "data/synthetic/scene.h"
#include "video/ffmpeg/encoder.h"

namespace streamo::data {
namespace fs = std::filesystem;
namespace {

using nlohmann::ordered_json;

// To be raised whenever the same seed gives other clips or records.
constexpr int kGeneratorVersion = 5;

constexpr const char* kMarker = "synthesize.json";  // of a folder that is ours

std::string clip_name(int64_t index) {
  return fmt::format("{:06}", index);
}

std::string clip_path(int64_t index) {
  return fmt::format("videos/{}.mp4", clip_name(index));
}

std::string marker_text(const ExampleTaskOptions& options, bool complete = true) {
  ordered_json marker{{"generator_version", kGeneratorVersion},
                      {"seed", options.seed},
                      {"clips", options.num_clips}};
  if (!complete) marker["complete"] = false;
  return marker.dump(2) + "\n";
}

bool is_complete(const ExampleTaskOptions& options) {
  const fs::path marker = options.out_dir / kMarker;
  if (!fs::exists(marker) || core::read_file(marker) != marker_text(options)) return false;
  if (!fs::exists(options.out_dir / "raw_data.json")) return false;
  for (int64_t i = 0; i < options.num_clips; ++i) {
    if (!fs::exists(options.out_dir / clip_path(i))) return false;
  }
  return true;
}

void encode_clip(const Clip& clip, core::Rng rng, const fs::path& path) {
  ExamplePainter painter(clip, rng);
  video::Encoder encoder(path, clip.encoding);
  for (int64_t frame = 0; frame < clip.num_frames; ++frame) {
    encoder.write(painter.paint(clip.frame_time(frame)));
  }
  encoder.finish();
}

std::vector<ordered_json> make_clip(const ExampleTaskOptions& options, int64_t index) {
  const Clip clip = plan_clip(options.seed, index);
  encode_clip(clip, clip_rng(options.seed, index, Purpose::kLook),
              options.out_dir / clip_path(index));
  return annotate_clip(clip, clip_name(index), clip_path(index),
                       clip_rng(options.seed, index, Purpose::kQuestions));
}

// A record a line: JSON that a person can page through.
std::string as_json_array(const std::vector<std::vector<ordered_json>>& records_by_clip) {
  std::string text;
  for (const auto& records : records_by_clip) {
    for (const ordered_json& record : records) {
      text += (text.empty() ? "[\n" : ",\n") + record.dump();
    }
  }
  return text + "\n]\n";
}

}  // namespace

void synthesize_example_task(const ExampleTaskOptions& options) {
  core::output_directory(options.out_dir, {}, [](const fs::path& folder) {
    return core::holds_mark("\"generator_version\":")(folder / kMarker);
  });
  if (is_complete(options)) {
    core::log_info("{}: the {} example clips are there already", options.out_dir.string(),
                   options.num_clips);
    return;
  }
  core::write_file_atomic(options.out_dir / kMarker, marker_text(options, /*complete=*/false));
  const auto count = static_cast<size_t>(options.num_clips);
  std::vector<std::vector<ordered_json>> records(count);
  core::ProgressBar progress("example clips", options.num_clips);
  std::mutex progress_mutex;
  core::parallel_for(count, options.num_workers > 0 ? options.num_workers : core::num_cores(),
                     [&](size_t i) {
                       records[i] = make_clip(options, static_cast<int64_t>(i));
                       const std::lock_guard lock(progress_mutex);
                       progress.advance();
                     });
  core::write_file_atomic(options.out_dir / "raw_data.json", as_json_array(records));
  core::write_file_atomic(options.out_dir / kMarker, marker_text(options));
}

}  // namespace streamo::data
