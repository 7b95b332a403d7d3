#include "data/samples/frame_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace streamo::data {
namespace {

std::vector<video::Frame> frames_of(size_t bytes, uint8_t value = 0) {
  video::Frame frame;
  frame.rgb.assign(bytes, value);
  return {frame};
}

struct CountingLoad {
  int calls = 0;
  size_t bytes = 1000;
  core::Result<std::vector<video::Frame>> operator()() {
    ++calls;
    return frames_of(bytes);
  }
};

TEST(FrameMemory, LoadsOnceAndForgetsTheLeastRecentlyUsed) {
  FrameMemory memory(2 * 1000 + 3 * sizeof(video::Frame));  // room for two
  CountingLoad a, b, c;
  const auto get = [&](const char* key, CountingLoad& load) {
    ASSERT_TRUE(memory.get(key, [&] { return load(); }));
  };
  get("a", a);
  get("b", b);
  get("a", a);  // a is now younger than b
  get("c", c);  // b goes
  get("a", a);
  get("b", b);
  EXPECT_EQ(a.calls, 1);
  EXPECT_EQ(b.calls, 2);
  EXPECT_LE(memory.bytes(), 2 * 1000 + static_cast<int64_t>(3 * sizeof(video::Frame)));
}

TEST(FrameMemory, RemembersNothingWithoutRoomAndNoFaults) {
  FrameMemory memory(0);
  CountingLoad load;
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(memory.get("a", [&] { return load(); }));
  EXPECT_EQ(load.calls, 2);
  EXPECT_EQ(memory.bytes(), 0);
  FrameMemory large(1 << 20);
  int calls = 0;
  const auto failing = [&]() -> core::Result<std::vector<video::Frame>> {
    ++calls;
    return core::Fault{"broken"};
  };
  EXPECT_EQ(large.get("a", failing).reason(), "broken");
  EXPECT_FALSE(large.get("a", failing));
  EXPECT_EQ(calls, 2);
}

TEST(FrameMemory, ManyThreadsLoadAKeyOnce) {
  FrameMemory memory(1 << 20);
  std::atomic<int> calls{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto frames = memory.get("a", [&]() -> core::Result<std::vector<video::Frame>> {
          ++calls;
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          return frames_of(10, 7);
        });
        ASSERT_TRUE(frames);
        EXPECT_EQ((**frames)[0].rgb[0], 7);
      });
    }
  }
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace streamo::data
