// Ends a process that stands still where nobody else would notice.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "core/process/progress.h"

namespace streamo::core {

class Watchdog {
 public:
  ~Watchdog();

  // From now on `progress`, which must live as long as this, may not stop for `limit` (0: for
  // ever). If it does, a line says that `what` stands still, and the process ends with kHang.
  void expect(const std::string& what, const Progress& progress, std::chrono::milliseconds limit);
  void rest();  // nothing is expected any more

 private:
  void run();

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::string what_;
  const Progress* progress_ = nullptr;
  std::chrono::milliseconds limit_{0}, still_{0};
  bool stopping_ = false;
  std::thread thread_;  // from the first expect() on
};

}  // namespace streamo::core
