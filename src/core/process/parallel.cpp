// parallel_for and thread creation, which cope with a limit on the number of threads.
#include "core/process/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>

#include "core/log.h"

namespace streamo::core {

std::vector<std::jthread> start_threads(size_t count, size_t least,
                                        const std::function<void()>& work) {
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < count) threads.emplace_back(work);
  } catch (const std::system_error& refused) {
    if (threads.size() < least) throw;
    log_warning("{} threads instead of {}: {} (ulimit -u, or the container's limit of processes)",
                threads.size(), count, refused.code().message());
  }
  return threads;
}

size_t startable_threads(size_t count) {
  std::vector<std::jthread> threads;
  std::atomic<bool> over{false};
  try {
    while (threads.size() < count) threads.emplace_back([&] { over.wait(false); });
  } catch (const std::system_error&) {  // no more
  }
  over = true;
  over.notify_all();
  return threads.size();
}

void parallel_for(size_t count, int num_workers, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto worker = [&] {
    for (size_t i = 0; (i = next++) < count;) {
      try {
        work(i);
      } catch (...) {
        next = count;
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  };
  const auto threads =
      std::min(static_cast<size_t>(std::max(num_workers, 1)), std::max<size_t>(count, 1));
  {
    const auto others = start_threads(threads - 1, 0, worker);
    worker();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace streamo::core
