// Plays benchmarks to a model. Each video is decoded once, whatever is asked about it; questions at
// which it is cut are put to one watch of it (the same answers as from a cut file, as what is asked
// is forgotten again).
//
// StreamingBench's proactive protocol (kPoll): from the question's time on, at the end of each
// turn: is it the right time? On "yes" the question itself is asked, and the watch is over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/samples/video_root.h"
#include "eval/benchmark.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"
#include "streamo/video/sampler.h"
#include "video/cache/frame_cache.h"

namespace streamo::eval {

struct BenchmarkOptions {
  // How the model was trained to see: pictures a second, their size, the system prompt.
  video::SampleOptions video;
  std::string system_prompt;
  std::shared_ptr<video::FrameCache> frame_cache;  // null: none
  int num_threads = 0;                             // videos at a time; 0: one a processor core
  int64_t max_answer_tokens = 64;
  // Stand in the answer file: a file of another model or context is refused.
  std::string model_name;
  double context = 0;
  std::function<void(int64_t done, int64_t total)> progress;  // in points; never at once
};

struct UnplayedVideo {
  std::string video, reason;
  int64_t points = 0;
};

struct BenchmarkRun {
  int64_t points = 0;           // of all plays
  int64_t answered_before = 0;  // found in the answer file
  std::vector<UnplayedVideo> unplayed;
};

// Appends a line for each answer to `answers` (to_json(Answer) with model and context), as soon as
// it is there; what it holds already is not played again, and a last line that is not whole is cut
// off. Videos that are missing or unreadable are listed. Throws core::Error{kData} when the file is
// of another model or context or no answer file, or no video at all can be played; {kDisk} when it
// cannot be written.
BenchmarkRun run_benchmark(model::VisionLanguageModel& model, const text::ChatFormat& format,
                           std::vector<Episode> plays, const data::VideoRoot& videos,
                           const std::filesystem::path& answers, const BenchmarkOptions& options);

}  // namespace streamo::eval
