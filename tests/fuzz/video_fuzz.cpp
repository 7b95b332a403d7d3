// A file from someone we do not trust, demuxed, planned and sampled both ways: samples or a Fault
// with a reason, never a crash, a hang or more memory than a picture takes.
//
// An input is a whole file of any container. FFmpeg itself is not instrumented: what is searched
// for new paths is our reading of packets, times and headers. Seeds: a few small clips a container.
#include <string>

#include "fuzz/fuzz.h"
#include "streamo/video/sampler.h"

namespace streamo {
namespace {

using fuzz::require;

constexpr int64_t kSamples = 30;

void sample(const std::string& path, video::Decoding decoding) {
  const video::SampleOptions options{.fps = 2.0,
                                     .pixel_limits = video::PixelLimits{.max_pixels = 3136},
                                     .decoding = decoding,
                                     .time_limit = 10};
  auto sampler = video::FrameSampler::open(path, options);
  if (!sampler) return require(sampler.reason().starts_with(path + ": "));
  double last_time = 0;
  for (int64_t k = 0; k < kSamples; ++k) {
    const auto frame = sampler->next();
    if (!frame) return require(frame.reason().starts_with(path + ": "));
    if (!*frame) return require(k == sampler->info().num_samples);
    const video::Frame& shown = **frame;
    require(shown.index == k && shown.pts_time >= last_time);
    require(shown.rgb.size() ==
            static_cast<size_t>(shown.size.height) * static_cast<size_t>(shown.size.width) * 3);
    last_time = shown.pts_time;
  }
}

}  // namespace

FUZZ_TARGET(video, 150) {
  const fuzz::InputFile file(input);
  sample(file.path(), video::Decoding::kPlanned);
  sample(file.path(), video::Decoding::kSequential);
}

}  // namespace streamo
