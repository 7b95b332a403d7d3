// Seconds of video sampled per second of CPU time, all of it in this process: one JSON line a file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "streamo/video/sampler.h"

namespace streamo::bench {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> files;
  std::string mode = "plan", resize = "fast", raw;
  double fps = 1.0;
  int repeat = 1;
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// RGB, one sample after the other.
void write_raw(const std::vector<video::Frame>& frames, const std::string& path) {
  if (path.empty()) return;
  std::ofstream file(path, std::ios::binary);
  for (const video::Frame& frame : frames) {
    file.write(reinterpret_cast<const char*>(frame.rgb.data()),
               static_cast<std::streamsize>(frame.rgb.size()));
  }
}

// All samples at the size of the recipe, one at a time as a loader takes them. The best of the
// repetitions: what disturbs a measurement makes it slower.
Json measure(const std::string& file, const Options& options) {
  const video::SampleOptions sampling{.fps = options.fps,
                                      .pixel_limits = video::PixelLimits{},
                                      .resize = video::parse_resize(options.resize),
                                      .decoding = options.mode == "plan"
                                                      ? video::Decoding::kPlanned
                                                      : video::Decoding::kSequential};
  double best = 0.0;
  std::vector<video::Frame> frames;
  video::VideoInfo info;
  video::DecodeCounters counters;
  for (int i = 0; i < options.repeat; ++i) {
    const double before = cpu_seconds();
    auto sampler = video::FrameSampler::open(file, sampling);
    if (!sampler) return {{"file", file}, {"error", sampler.reason()}};
    frames.clear();
    for (;;) {
      auto frame = sampler->next();
      if (!frame) return {{"file", file}, {"error", frame.reason()}};
      if (!*frame) break;
      frames.push_back(std::move(**frame));
    }
    const double spent = cpu_seconds() - before;
    best = i == 0 ? spent : std::min(best, spent);
    info = sampler->info();
    counters = sampler->counters();
  }
  write_raw(frames, options.raw);
  return {{"file", file},
          {"mode", options.mode},
          {"resize", options.resize},
          {"video_seconds", info.duration},
          {"samples", frames.size()},
          {"decoded", counters.packets},
          {"plan_given_up", counters.plan_given_up},
          {"width", frames.at(0).size.width},
          {"height", frames.at(0).size.height},
          {"cpu_seconds", best},
          {"video_seconds_per_cpu_second", info.duration / best}};
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Samples each FILE as the loader does and prints video-seconds per CPU-second.");
  app.add_option("FILE", options.files)->required();
  app.add_option("--mode", options.mode)->check(CLI::IsMember({"plan", "sequential"}));
  app.add_option("--resize", options.resize)->check(CLI::IsMember({"fast", "exact"}));
  app.add_option("--fps", options.fps, "samples a second");
  app.add_option("--raw", options.raw, "write the pixels of the (last) FILE's samples there");
  app.add_option("--repeat", options.repeat, "the best of N")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  for (const std::string& file : options.files) {
    std::cout << measure(file, options).dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace streamo::bench

int main(int argc, char** argv) {
  return streamo::bench::run(argc, argv);
}
