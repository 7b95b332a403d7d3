// Decodes files over and over, sound and damaged ones in turn, and watches the memory and the
// descriptors of this process: exit code 1 when they grow.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "streamo/video/sampler.h"

namespace streamo::bench {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> files;
  int64_t decodes = 10'000;
  double allowed_mb = 8;  // of growth, after the warm-up
};

struct Use {
  double memory_mb;
  int64_t descriptors, threads;
};

int64_t entries(const char* folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

Use use_now() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return {static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6,
          entries("/proc/self/fd"), entries("/proc/self/task")};
}

struct Counts {
  int64_t samples = 0, faults = 0;
};

void decode(const std::string& file, Counts& counts) {
  video::SampleOptions options;
  options.pixel_limits = video::PixelLimits{};
  auto sampler = video::FrameSampler::open(file, options);
  while (sampler) {
    const auto frame = sampler->next();
    if (frame && !*frame) return;
    if (!frame) break;
    ++counts.samples;
  }
  ++counts.faults;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Decodes the FILEs in turn and fails when memory or descriptors grow.");
  app.add_option("FILE", options.files)->required();
  app.add_option("--decodes", options.decodes)->check(CLI::Range(100, 100'000'000));
  app.add_option("--allowed-mb", options.allowed_mb, "growth after the first tenth");
  CLI11_PARSE(app, argc, argv);

  const auto begin = std::chrono::steady_clock::now();
  Counts counts;
  Use warm{}, now{};
  double most_mb = 0;
  fmt::print("{:>8} {:>9} {:>8} {:>8} {:>11} {:>7} {:>8}\n", "decodes", "samples", "faults",
             "rss MB", "descriptors", "threads", "seconds");
  for (int64_t i = 1; i <= options.decodes; ++i) {
    decode(options.files[static_cast<size_t>(i) % options.files.size()], counts);
    if (i % std::max<int64_t>(1, options.decodes / 10) != 0) continue;
    now = use_now();
    if (warm.descriptors == 0) warm = now;
    most_mb = std::max(most_mb, now.memory_mb);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    fmt::print("{:>8} {:>9} {:>8} {:>8.1f} {:>11} {:>7} {:>8.1f}\n", i, counts.samples,
               counts.faults, now.memory_mb, now.descriptors, now.threads, spent.count());
    std::fflush(stdout);
  }
  const bool is_flat = most_mb <= warm.memory_mb + options.allowed_mb &&
                       now.descriptors <= warm.descriptors && now.threads <= warm.threads;
  fmt::print("{}\n", is_flat ? "flat" : "GROWS");
  return is_flat ? 0 : 1;
}

}  // namespace
}  // namespace streamo::bench

int main(int argc, char** argv) {
  return streamo::bench::run(argc, argv);
}
