// What decoding in processes of its own costs: CPU time of both sides, over that of a thread, in
// rounds that take turns so that what else the machine does meets both. One JSON line a file.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "streamo/video/sampler.h"
#include "video/worker/decode_in_processes.h"

namespace streamo::bench {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// Of this process and of those it has waited for.
double cpu_seconds() {
  double sum = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(who, &used);
    sum += seconds(used.ru_utime) + seconds(used.ru_stime);
  }
  return sum;
}

// Of `videos` readings, the start and the end of the process among them.
double measure(const std::string& file, int videos, const std::filesystem::path& program) {
  const double before = cpu_seconds();
  video::decode_in_processes(program);
  for (int i = 0; i < videos; ++i) {
    const auto frames = video::sample_video(file, {.pixel_limits = video::PixelLimits{}});
    if (!frames) throw std::runtime_error(frames.reason());
  }
  video::decode_in_processes({});
  return cpu_seconds() - before;
}

void run(const std::string& file, int videos, int rounds, const std::string& program) {
  std::vector<double> ratios;
  double thread = 0;
  for (int i = 0; i < rounds; ++i) {
    thread = measure(file, videos, {});
    ratios.push_back(measure(file, videos, program) / thread);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print(
      R"({{"file": "{}", "ms_a_video": {:.2f}, "ratio": {:.3f}, "least": {:.3f}, "most": {:.3f}}})"
      "\n",
      std::filesystem::path(file).filename().string(), thread / videos * 1e3,
      ratios[ratios.size() / 2], ratios.front(), ratios.back());
}

}  // namespace
}  // namespace streamo::bench

int main(int argc, char** argv) {
  CLI::App app("What decoding in processes costs");
  std::vector<std::string> files;
  int videos = 40, rounds = 7;
  std::string program = "build/release/src/app/streamo-decoder";
  app.add_option("FILES", files)->required();
  app.add_option("--videos", videos, "Readings of a file in each round");
  app.add_option("--rounds", rounds);
  app.add_option("--program", program);
  CLI11_PARSE(app, argc, argv);
  for (const std::string& file : files) streamo::bench::run(file, videos, rounds, program);
  return 0;
}
