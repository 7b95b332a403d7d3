// A file from someone we do not trust, demuxed, planned and sampled both ways: samples or a Fault
// with a reason, never a crash, a hang or more memory than a picture takes.
//
// An input is a whole file of any container. FFmpeg itself is not instrumented: what is searched
// for new paths is our reading of packets, times and headers. Seeds: a few small clips a container.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "streamo/video/sampler.h"

namespace {

using namespace streamo;

constexpr int64_t kSamples = 30;

void expect(bool condition) {
  if (!condition) std::abort();
}

void sample(const std::string& path, video::Decoding decoding) {
  const video::SampleOptions options{.fps = 2.0,
                                     .pixel_limits = video::PixelLimits{.max_pixels = 3136},
                                     .decoding = decoding,
                                     .time_limit = 10};
  auto sampler = video::SecondSampler::open(path, options);
  if (!sampler) return expect(sampler.reason().starts_with(path + ": "));
  double last_time = 0;
  for (int64_t k = 0; k < kSamples; ++k) {
    const auto frame = sampler->next();
    if (!frame) return expect(frame.reason().starts_with(path + ": "));
    if (!*frame) return expect(k == sampler->info().num_samples);
    const video::Frame& shown = **frame;
    expect(shown.index == k && shown.pts_time >= last_time);
    expect(shown.rgb.size() ==
           static_cast<size_t>(shown.size.height) * static_cast<size_t>(shown.size.width) * 3);
    last_time = shown.pts_time;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);  // a regular file in memory
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  expect(::ftruncate(fd, 0) == 0);
  expect(::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
  sample(path, video::Decoding::kPlanned);
  sample(path, video::Decoding::kSequential);
  return 0;
}
