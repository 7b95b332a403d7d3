// Damage is made byte by byte: whatever a reader returns must be what was written.
#include "video/cache/frame_entry.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {
namespace {

using testing::HasSubstr;

constexpr const char* kKey = "frames of a test\n";

std::vector<Frame> make_frames(size_t count, FrameSize size) {
  std::vector<Frame> frames(count);
  for (size_t i = 0; i < count; ++i) {
    frames[i] = {.index = static_cast<int64_t>(i),
                 .time = static_cast<double>(i) / 3.0,
                 .pts_time = static_cast<double>(i) / 3.0 - 0.01,
                 .keyframe = i % 2 == 0,
                 .size = size,
                 .rgb = std::vector<uint8_t>(static_cast<size_t>(size.height * size.width) * 3)};
    for (size_t j = 0; j < frames[i].rgb.size(); ++j) {
      frames[i].rgb[j] = static_cast<uint8_t>(j * j / 7 + (i == 2 ? 0 : i));
    }
  }
  return frames;
}

std::string entry_of(const std::vector<Frame>& frames, const std::string& key = kKey) {
  std::string file;
  write_entry(
      frames, key,
      [&](size_t i) {
        return code_lossless(frames[i].rgb, i == 0 ? std::vector<uint8_t>() : frames[i - 1].rgb,
                             frames[i].size);
      },
      [&](std::string_view bytes) { file += bytes; },
      [&](std::string_view bytes) { file.replace(0, bytes.size(), bytes); });
  return file;
}

void expect_equal(const std::vector<Frame>& a, const std::vector<Frame>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_EQ(a[i].time, b[i].time);
    EXPECT_EQ(a[i].pts_time, b[i].pts_time);
    EXPECT_EQ(a[i].keyframe, b[i].keyframe);
    EXPECT_EQ(a[i].size, b[i].size);
    EXPECT_EQ(a[i].rgb, b[i].rgb);
  }
}

// An open file of these bytes, without a name.
FileDescriptor file_of(const std::string& bytes) {
  std::string name = testing::TempDir() + "/entry-XXXXXX";
  FileDescriptor file(::mkstemp(name.data()));
  ::unlink(name.c_str());
  EXPECT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  return file;
}

core::Result<std::vector<Frame>> read(const std::string& bytes) {
  return read_entry(file_of(bytes).get(), kKey);
}

TEST(FrameEntry, ReadsBackFramesAndTimes) {
  for (const size_t count : {1, 2, 40}) {
    const std::vector<Frame> frames = make_frames(count, {28, 56});
    const auto back = read(entry_of(frames));
    ASSERT_TRUE(back) << back.reason();
    expect_equal(*back, frames);
  }
}

TEST(FrameEntry, EveryFlippedBitIsNoticed) {
  const std::string file = entry_of(make_frames(3, {4, 6}));
  const FileDescriptor descriptor = file_of(file);
  ASSERT_TRUE(read_entry(descriptor.get(), kKey));
  for (size_t i = 0; i < file.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      const char damaged = static_cast<char>(file[i] ^ (1 << bit));
      ASSERT_EQ(::pwrite(descriptor.get(), &damaged, 1, static_cast<off_t>(i)), 1);
      EXPECT_FALSE(read_entry(descriptor.get(), kKey)) << "byte " << i << " of " << file.size();
    }
    ASSERT_EQ(::pwrite(descriptor.get(), &file[i], 1, static_cast<off_t>(i)), 1);
  }
  EXPECT_TRUE(read_entry(descriptor.get(), kKey));
}

TEST(FrameEntry, EveryOtherLengthIsNoticed) {
  const std::string file = entry_of(make_frames(3, {4, 6}));
  for (size_t length = 0; length < file.size(); ++length) {
    const FileDescriptor descriptor = file_of(file.substr(0, length));
    EXPECT_FALSE(read_entry(descriptor.get(), kKey)) << length << " of " << file.size();
    EXPECT_FALSE(entry_looks_sound(descriptor.get(), kKey));
  }
  EXPECT_FALSE(read(file + '\0'));
  EXPECT_FALSE(read(std::string(file.size(), '\0')));
  EXPECT_TRUE(entry_looks_sound(file_of(file).get(), kKey));
}

TEST(FrameEntry, AnotherKeysEntryIsRefused) {
  const auto other = read(entry_of(make_frames(1, {4, 6}), "frames of another\n"));
  ASSERT_FALSE(other);
  EXPECT_THAT(other.reason(), HasSubstr("another video's"));
}

// A wish for 4 billion frames must not be granted before it is known to be damage.
TEST(FrameEntry, HugeCountsAreNotBelieved) {
  const std::string file = entry_of(make_frames(1, {4, 6}));
  for (const size_t field : {24, 28, 32, 36}) {  // key bytes, frames, height, width
    std::string damaged = file;
    damaged.replace(field, 4, "\xff\xff\xff\x7f");
    EXPECT_FALSE(read(damaged));
  }
}

// Nor when the file is as large as it says, which costs a writer nothing.
TEST(FrameEntry, ASparseFileMakesNoneAllocate) {
  const std::string file = entry_of(make_frames(1, {4, 6}));
  constexpr uint64_t kBytes = uint64_t{100} << 30;
  for (const size_t field : {24, 28}) {  // key bytes, frames
    std::string damaged = file;
    damaged.replace(field, 4, "\xff\xff\xff\x7f");
    damaged.replace(16, 8, reinterpret_cast<const char*>(&kBytes), 8);
    const FileDescriptor sparse = file_of(damaged);
    if (::ftruncate(sparse.get(), static_cast<off_t>(kBytes)) != 0) GTEST_SKIP();
    const rlimit little{rlim_t{1} << 30, rlim_t{1} << 30};
    EXPECT_EXIT(
        {
          ::setrlimit(RLIMIT_AS, &little);
          std::_Exit(read_entry(sparse.get(), kKey) ? 1 : 0);
        },
        testing::ExitedWithCode(0), "");
  }
}

}  // namespace
}  // namespace streamo::video
