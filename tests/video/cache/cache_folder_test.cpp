// A folder that is written, read, bounded and damaged from many sides at once.
#include "video/cache/cache_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "core/io/file.h"
#include "streamo/core/error.h"

namespace streamo::video {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int64_t kFileBytes = 64 << 10;

class CacheFolderTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }

  static std::string name(int i) { return fmt::format("{:02x}{:030x}.frames", i % 5, i); }

  // `writer` many times over: a mixture of two writers' bytes would show.
  static bool put(CacheFolder& cache, const std::string& name, char writer) {
    return cache.publish(name, kFileBytes, [&](CacheFolder::Output& output) {
      for (int64_t i = 0; i < kFileBytes; i += 4096) output.append(std::string(4096, writer));
      output.overwrite(std::string(8, writer));
    });
  }

  // 'x' if there is none, '?' if it is not one writer's.
  static char get(const CacheFolder& cache, const std::string& name) {
    const FileDescriptor file = cache.open(name);
    if (!file) return 'x';
    std::string bytes(kFileBytes + 1, '\0');
    const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return bytes == std::string(kFileBytes, bytes[0]) ? bytes[0] : '?';
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    return paths;
  }

  // As if it had been used so many hours ago.
  void age(const std::string& name, int hours) const {
    fs::last_write_time(folder_ / name.substr(0, 2) / name,
                        fs::file_time_type::clock::now() - std::chrono::hours(hours));
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / fmt::format("cache folder-{}", ::getpid());
};

TEST_F(CacheFolderTest, KeepsAndReplaces) {
  CacheFolder cache(folder_ / "made" / "as needed", 0);
  EXPECT_EQ(get(cache, name(1)), 'x');
  EXPECT_TRUE(put(cache, name(1), 'a'));
  EXPECT_EQ(get(cache, name(1)), 'a');
  const FileDescriptor former = cache.open(name(1));
  EXPECT_TRUE(put(cache, name(1), 'b'));
  EXPECT_EQ(get(cache, name(1)), 'b');
  char byte = 0;
  EXPECT_EQ(::pread(former.get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'a') << "who reads goes on reading what he opened";
  EXPECT_EQ(files().size(), 1u);
  EXPECT_EQ(cache.why_not_writing(), "");
}

// To open it for reading would wait for who writes to it.
TEST_F(CacheFolderTest, APipeUnderAnEntrysNameIsNone) {
  CacheFolder cache(folder_, 0);
  ASSERT_TRUE(put(cache, name(1), 'a'));
  const fs::path path = folder_ / name(1).substr(0, 2) / name(1);
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(cache.open(name(1)));
}

// A user names the folder of the videos, or keeps something in that of the cache.
TEST_F(CacheFolderTest, FilesOfOthersAreNeitherCountedNorRemoved) {
  const std::string digits(30, '0');
  const std::vector<fs::path> theirs = {
      folder_ / "videos/clip.mp4", folder_ / "ab" / ("ab" + digits + ".mp4"),
      folder_ / "cd" / ("ab" + digits + ".frames"), folder_ / "ab" / "notes.frames",
      folder_ / "ab/.tmp-of mine"};
  for (const fs::path& path : theirs) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << std::string(3 * kFileBytes, 'u');
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(48));
  }
  CacheFolder cache(folder_, 2 * kFileBytes);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(put(cache, name(i), 'a'));
    age(name(i), 24);
  }
  CacheFolder later(folder_, 2 * kFileBytes);
  EXPECT_TRUE(put(later, name(3), 'b'));
  EXPECT_EQ(get(later, name(0)), 'x') << "what was used longest ago went";
  for (const fs::path& path : theirs) EXPECT_TRUE(fs::exists(path)) << path;
}

TEST_F(CacheFolderTest, AFolderThatCannotBeMadeIsAnError) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "file") << "x";
  for (const fs::path& path : {folder_ / "file", folder_ / "file/below", fs::path("/proc/none")}) {
    try {
      CacheFolder cache(path, 0);
      FAIL() << path;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kDisk);
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
    }
  }
}

TEST_F(CacheFolderTest, AReadOnlyFolderIsReadAndWarnedOf) {
  ASSERT_TRUE(put(*std::make_unique<CacheFolder>(folder_, 0), name(1), 'a'));
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0555));
  }
  fs::permissions(folder_, fs::perms(0555));
  const pid_t child = ::fork();
  if (child == 0) {  // root may write anywhere
    if (::geteuid() == 0 && ::setuid(65534) != 0) std::_Exit(9);
    testing::internal::CaptureStderr();
    CacheFolder cache(folder_, 0);
    const bool right = get(cache, name(1)) == 'a' && !put(cache, name(2), 'b') &&
                       !put(cache, name(3), 'b') && get(cache, name(2)) == 'x' &&
                       cache.why_not_writing().find("only read") != std::string::npos;
    const std::string log = testing::internal::GetCapturedStderr();
    const size_t first = log.find("warning: frame cache");
    std::_Exit(right && first != log.npos && log.find("warning", first + 1) == log.npos ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  fs::permissions(folder_, fs::perms(0755));
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0755));
  }
}

TEST_F(CacheFolderTest, ManyWritersAndReadersSeeWholeFilesOnly) {
  constexpr int kProcesses = 4, kThreads = 4, kRounds = 60, kNames = 7;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    CacheFolder cache(folder_, 0);
    std::atomic<int> torn{0}, failed{0};
    {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
          for (int round = 0; round < kRounds; ++round) {
            const std::string wanted = name((round + thread) % kNames);
            failed +=
                put(cache, wanted, static_cast<char>('a' + process * kThreads + thread)) ? 0 : 1;
            for (int i = 0; i < kNames; ++i) torn += get(cache, name(i)) == '?' ? 1 : 0;
          }
        });
      }
    }
    std::_Exit(torn == 0 && failed == 0 ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files().size(), static_cast<size_t>(kNames)) << "no temporary file stays";
}

TEST_F(CacheFolderTest, TheLongestUnusedGoFirst) {
  {
    CacheFolder former(folder_, 0);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(put(former, name(i), 'a'));
  }
  for (int i = 0; i < 8; ++i) age(name(i), 20 - i);
  CacheFolder cache(folder_, 10 * kFileBytes);
  EXPECT_EQ(get(cache, name(0)), 'a');  // the oldest is used now
  ASSERT_TRUE(put(cache, name(8), 'b'));
  ASSERT_TRUE(put(cache, name(9), 'b'));
  EXPECT_EQ(get(cache, name(1)), 'a') << "there was room";
  age(name(1), 19);
  ASSERT_TRUE(put(cache, name(10), 'b'));
  ASSERT_TRUE(put(cache, name(11), 'b'));
  EXPECT_EQ(get(cache, name(0)), 'a');
  EXPECT_EQ(get(cache, name(1)), 'x');
  EXPECT_EQ(get(cache, name(7)), 'a');
  for (int i = 8; i < 12; ++i) EXPECT_EQ(get(cache, name(i)), 'b');
  EXPECT_LE(files().size(), 10u);
}

// Evicting what this run used would evict what it needs next: an epoch goes round.
TEST_F(CacheFolderTest, WhatARunUsedStaysAndTheRestIsNotKept) {
  CacheFolder cache(folder_, 5 * kFileBytes);
  int kept = 0;
  testing::internal::CaptureStderr();
  for (int i = 0; i < 20; ++i) kept += put(cache, name(i), 'a') ? 1 : 0;
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(kept, 5);
  EXPECT_EQ(files().size(), 5u);
  EXPECT_THAT(log, HasSubstr("data.frame_cache_max_gb"));
  EXPECT_EQ(log.find("warning"), log.rfind("warning")) << "one line, not fifteen";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(cache, name(i)), 'a');
}

// Four processes write 200 files for a bound of 50 while four threads read: at no time is a file
// torn, and the bound is overrun by no more than what the header promises.
TEST_F(CacheFolderTest, TheBoundHoldsAndReadersAreSafeWhileFilesGo) {
  constexpr int kFiles = 200, kBound = 50, kProcesses = 4;
  {
    CacheFolder former(folder_, 0);
    for (int i = 0; i < kBound; ++i) ASSERT_TRUE(put(former, name(i), 'a'));
  }
  for (int i = 0; i < kBound; ++i) age(name(i), 2);
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    CacheFolder cache(folder_, kBound * kFileBytes);
    for (int i = process; i < kFiles; i += kProcesses) put(cache, name(1000 + i), 'b');
    std::_Exit(0);
  }
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  size_t most = 0;
  {
    CacheFolder reader(folder_, 0);
    std::vector<std::jthread> readers;
    for (int thread = 0; thread < 4; ++thread) {
      readers.emplace_back([&] {
        while (!done) {
          for (int i = 0; i < kBound; ++i) torn += get(reader, name(i)) == '?' ? 1 : 0;
        }
      });
    }
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
      size_t whole = 0;
      for (const fs::path& path : files()) whole += is_temporary(path) ? 0 : 1;
      most = std::max(most, whole);
    }
    done = true;
  }
  EXPECT_EQ(torn, 0);
  EXPECT_LE(most, static_cast<size_t>(kBound + kProcesses));
  EXPECT_GE(most, static_cast<size_t>(kBound / 2));
}

TEST_F(CacheFolderTest, WhatKilledWritersLeftIsRemovedAfterADay) {
  fs::create_directories(folder_ / "00");
  std::ofstream(folder_ / "00/.tmp-host-1-0123456789abcdef-1") << "half a file";
  std::ofstream(folder_ / "00/.tmp-host-1-0123456789abcdef-2") << "half a file";
  fs::last_write_time(folder_ / "00/.tmp-host-1-0123456789abcdef-1",
                      fs::file_time_type::clock::now() - std::chrono::hours(25));
  CacheFolder cache(folder_, 1 << 30);
  ASSERT_TRUE(put(cache, name(0), 'a'));
  EXPECT_FALSE(fs::exists(folder_ / "00/.tmp-host-1-0123456789abcdef-1"));
  EXPECT_TRUE(fs::exists(folder_ / "00/.tmp-host-1-0123456789abcdef-2"))
      << "it may be being written";
}

// Runs DISABLED_WriteFive in a process of its own, with a fault armed (core/fault_point.h).
class CacheFolderFaults : public CacheFolderTest {
 protected:
  int write_five(const std::string& fault) const {
    const pid_t child = ::fork();
    if (child == 0) {
      ::setenv("STREAMO_FAULT", fault.c_str(), 1);
      ::setenv("STREAMO_CACHE_TEST_DIR", folder_.c_str(), 1);
      ::execl("/proc/self/exe", "video_test", "--gtest_also_run_disabled_tests",
              "--gtest_filter=CacheFolderFaults.DISABLED_WriteFive", nullptr);
      std::_Exit(99);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
};

TEST_F(CacheFolderFaults, AKillAtEveryWriteAndRenameLeavesNoTornFile) {
  for (const char* point : {"frame_cache.write", "frame_cache.rename"}) {
    int kills = 0;
    for (int hit = 1; hit < 200; hit += 5) {
      fs::remove_all(folder_);
      if (write_five(fmt::format("{}:{}:kill", point, hit)) != -SIGKILL) break;
      ++kills;
      CacheFolder cache(folder_, 0);
      for (int i = 0; i < 5; ++i) EXPECT_THAT(get(cache, name(i)), testing::AnyOf('a', 'x'));
      EXPECT_TRUE(put(cache, name(0), 'b'));
      EXPECT_EQ(get(cache, name(0)), 'b');
    }
    EXPECT_GT(kills, 0) << point;
  }
}

TEST_F(CacheFolderFaults, AFullDiskStopsTheWritingNotTheRun) {
  EXPECT_EQ(write_five("frame_cache.write:40:enospc"), 7) << "see DISABLED_WriteFive";
  CacheFolder cache(folder_, 0);
  EXPECT_EQ(get(cache, name(0)), 'a');
  EXPECT_EQ(get(cache, name(1)), 'a');
  EXPECT_EQ(get(cache, name(2)), 'x');
  EXPECT_EQ(files().size(), 2u) << "nothing half-written stays";
}

TEST_F(CacheFolderFaults, DISABLED_WriteFive) {
  CacheFolder cache(std::getenv("STREAMO_CACHE_TEST_DIR"), 0);
  int written = 0;
  for (int i = 0; i < 5; ++i) written += put(cache, name(i), 'a') ? 1 : 0;
  if (written == 2 && cache.why_not_writing().find("No space left") != std::string::npos) {
    std::_Exit(7);
  }
}

}  // namespace
}  // namespace streamo::video
