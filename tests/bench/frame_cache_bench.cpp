// What a frame cache costs and saves: one JSON line a video, of one thread.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/log.h"
#include "video/cache/frame_cache.h"

namespace streamo::bench {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> files;
  std::string folder;
  int jpeg_quality = 0, repeat = 5;
};

struct Spent {
  double cpu = 0, wall = 0;
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The fastest of the repetitions: what disturbs a measurement makes it slower.
template <typename Work>
Spent fastest(int repeat, const Work& work) {
  Spent best{1e9, 1e9};
  for (int i = 0; i < repeat; ++i) {
    const double cpu = cpu_seconds(), wall = core::monotonic_seconds();
    work();
    best.cpu = std::min(best.cpu, cpu_seconds() - cpu);
    best.wall = std::min(best.wall, core::monotonic_seconds() - wall);
  }
  return best;
}

// At the size of the recipe, 1 a second. Reading includes opening, checksums and the note; the
// cache's files are in the page cache.
Json measure(const std::string& file, const Options& options) {
  const video::SampleOptions sampling{.pixel_limits = video::PixelLimits{}};
  const video::FrameCacheOptions cache_options{.folder = options.folder,
                                               .jpeg_quality = options.jpeg_quality};
  const auto frames = video::sample_video(file, sampling);
  if (!frames) return {{"file", file}, {"error", frames.reason()}};
  const Spent decode = fastest(1, [&] { (void)video::sample_video(file, sampling); });
  int64_t bytes = 0;
  const Spent fill = fastest(1, [&] {
    std::filesystem::remove_all(options.folder);
    video::FrameCache cache(cache_options);
    (void)cache.sample_video(file, sampling);
    bytes = cache.counts().written_bytes;
  });
  video::FrameCache cache(cache_options);
  const Spent probe = fastest(options.repeat, [&] { (void)cache.probe(file, sampling); });
  const Spent read = fastest(options.repeat, [&] { (void)cache.sample_video(file, sampling); });
  if (cache.counts().decoded > 0) return {{"file", file}, {"error", "it was not cached"}};
  const auto seconds = static_cast<double>(frames->size());
  const auto raw = seconds * static_cast<double>(frames->front().rgb.size());
  return {{"file", std::filesystem::path(file).filename().string()},
          {"seconds", seconds},
          {"size", fmt::format("{}x{}", frames->front().size.width, frames->front().size.height)},
          {"kb_per_second", static_cast<double>(bytes) / seconds / 1e3},
          {"share_of_raw", static_cast<double>(bytes) / raw},
          {"decode_per_cpu_second", seconds / decode.cpu},
          {"fill_per_cpu_second", seconds / fill.cpu},
          {"read_per_cpu_second", seconds / read.cpu},
          {"read_per_second", seconds / read.wall},
          {"probe_us", probe.wall * 1e6}};
}

}  // namespace
}  // namespace streamo::bench

int main(int argc, char** argv) {
  using namespace streamo::bench;
  CLI::App app("Video-seconds per CPU-second with and without a frame cache");
  Options options;
  app.add_option("FILES", options.files, "Videos, last changed at least 3 s ago")->required();
  app.add_option("--folder", options.folder, "Of the cache; it is emptied first")->required();
  app.add_option("--quality", options.jpeg_quality, "As data.frame_cache_quality");
  app.add_option("--repeat", options.repeat, "Readings, of which the fastest counts");
  CLI11_PARSE(app, argc, argv);
  for (const std::string& file : options.files) fmt::print("{}\n", measure(file, options).dump());
  return 0;
}
