// Thresholds on what probing a video yields: frame rate, longest frame, aspect ratio, missing end.
#include "data/check/video_findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace streamo::data {
namespace {

constexpr double kWidestShape = 4;  // side to side; cinema has 2.4, two monitors side by side 3.6
constexpr double kLongStillTurns = 3;   // turns in a row that see the same picture
constexpr double kMissingSeconds = 1;   // of what the file announces ...
constexpr double kMissingShare = 0.05;  // ... and this share of it

}  // namespace

void find_video_problems(const video::VideoInfo& info, double fps, Findings& findings) {
  const auto [height, width] = info.size;
  const double shape = static_cast<double>(std::max(height, width)) / std::min(height, width);
  const double missing = info.announced_duration - info.duration;
  if (info.num_pictures == 1) {
    findings.emplace_back(Finding::kOnePicture, "there is one picture in it");
  } else if (static_cast<double>(info.num_pictures) < info.duration * fps) {
    findings.emplace_back(Finding::kLowRate,
                          fmt::format("{} pictures in {:.1f} s, for {} turns", info.num_pictures,
                                      info.duration, info.num_samples));
  } else if (info.longest_frame_duration * fps > kLongStillTurns) {
    findings.emplace_back(Finding::kLongStill,
                          fmt::format("one picture stays for {:.1f} s, {:.2f} s on average",
                                      info.longest_frame_duration,
                                      info.duration / static_cast<double>(info.num_pictures)));
  }
  if (shape > kWidestShape) {
    findings.emplace_back(Finding::kExtremeShape, fmt::format("{}x{} pixels", width, height));
  }
  if (missing > kMissingSeconds && missing > kMissingShare * info.announced_duration) {
    findings.emplace_back(Finding::kEndsEarly,
                          fmt::format("it says it lasts {:.1f} s, its pictures end at {:.1f} s",
                                      info.announced_duration, info.duration));
  }
}

}  // namespace streamo::data
