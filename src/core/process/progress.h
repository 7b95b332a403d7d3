// What this process gets on with: those who wait for it tell slow from dead by it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

namespace streamo::core {

// Counts the small steps of work whose length nobody knows beforehand. From any thread.
class Progress {
 public:
  void note() { ++steps_; }
  int64_t steps() const { return steps_; }

 private:
  std::atomic<int64_t> steps_{0};
};

Progress& reading();  // a file was read or decoded further, a sample indexed, a turn played
Progress& writing();  // bytes are on their way to disk

// A file that is being read, as long as this exists.
class FileInWork {
 public:
  explicit FileInWork(std::string name);
  ~FileInWork() { end(); }
  FileInWork(const FileInWork&) = delete;
  FileInWork& operator=(const FileInWork&) = delete;

  void end();  // also when a thread that is left behind still has it

  struct Seen {
    std::string name;
    double seconds;  // since it was begun
  };
  static std::optional<Seen> oldest();  // of all in this process

 private:
  int64_t number_;  // in the order they were begun
};

}  // namespace streamo::core
