// Samples of a file, decoded by a plan and one picture after the other.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "streamo/video/sampler.h"

namespace streamo::test {

struct Sampled {
  std::vector<video::Frame> frames;
  video::DecodeCounters counters;
};

inline Sampled sample(const std::filesystem::path& path, video::SampleOptions options,
                      video::Decoding decoding) {
  options.decoding = decoding;
  Sampled sampled;
  auto sampler = video::FrameSampler::open(path, options);
  if (!sampler) {
    ADD_FAILURE() << sampler.reason();
    return sampled;
  }
  while (true) {
    auto frame = sampler->next();
    if (!frame) ADD_FAILURE() << frame.reason();
    if (!frame || !*frame) break;
    sampled.frames.push_back(std::move(**frame));
  }
  sampled.counters = sampler->counters();
  return sampled;
}

// Bit for bit.
inline void expect_same(const std::vector<video::Frame>& actual,
                        const std::vector<video::Frame>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t k = 0; k < actual.size(); ++k) {
    SCOPED_TRACE(k);
    EXPECT_EQ(actual[k].time, expected[k].time);
    EXPECT_EQ(actual[k].pts_time, expected[k].pts_time);
    EXPECT_EQ(actual[k].keyframe, expected[k].keyframe);
    EXPECT_TRUE(actual[k].rgb == expected[k].rgb);
  }
}

}  // namespace streamo::test
