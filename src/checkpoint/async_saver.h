// Saving while training goes on: the run waits for the copy to host memory, a thread does the rest.
#pragma once

#include <memory>

#include "checkpoint/snapshot.h"

namespace streamo::checkpoint {

// One save at a time. The copy is made into buffers that are kept from save to save: they take the
// size of a snapshot once, in page-locked memory where the tensors are on a GPU.
//
// A save that fails for the disk's sake (full, broken) is a warning when it happens: older
// checkpoints are intact, training goes on and the next save tries again; kFailuresInARow of them
// are an error. Whatever else happens in the thread is thrown by the next call.
class AsyncSaver {
 public:
  static constexpr int kFailuresInARow = 3;

  explicit AsyncSaver(const SnapshotStore& store);
  ~AsyncSaver();  // lets the save under way come to its end
  AsyncSaver(const AsyncSaver&) = delete;
  AsyncSaver& operator=(const AsyncSaver&) = delete;

  // Waits for the former save, copies, and returns: the tensors may then change. What is in host
  // memory and nobody else's is kept instead of copied. Throws core::Error{kDisk} when the last
  // kFailuresInARow saves have failed.
  void start(Snapshot snapshot);

  // Waits for the save under way. True when the last one is on disk (or there was none).
  bool wait();
  // The same, but throws core::Error{kDisk} of the last one instead of returning false.
  void require_saved();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::checkpoint
