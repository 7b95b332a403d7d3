// Parallel work on numbered items whose results leave in the order of their numbers.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace streamo::data {

// For each i in [0, count): claim(i) one after the other in order, work(claimed) on `num_workers`
// threads, deliver(i, result) on the calling thread in order. At most a few results a worker wait
// to be delivered, so memory does not grow with `count`. The first exception stops everything and
// is thrown to the caller.
template <typename Claim, typename Work, typename Deliver>
void ordered_pipeline(size_t count, int num_workers, const Claim& claim, const Work& work,
                      const Deliver& deliver) {
  using Output = decltype(work(claim(size_t{0})));
  const size_t workers = std::min(static_cast<size_t>(std::max(num_workers, 1)), count);
  const size_t window = 4 * workers;
  std::mutex mutex, claim_mutex;
  std::condition_variable changed;
  std::map<size_t, Output> done;
  size_t next_claim = 0, next_delivery = 0;
  std::exception_ptr failure;

  // The next item for a worker, once it is not too far ahead of the deliveries.
  const auto take = [&] {
    using Input = decltype(claim(size_t{0}));
    std::optional<std::pair<size_t, Input>> item;
    const std::lock_guard in_order(claim_mutex);
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] {
        return failure || next_claim == count || next_claim < next_delivery + window;
      });
      if (failure || next_claim == count) return item;
    }
    const size_t index = next_claim++;
    item.emplace(index, claim(index));
    return item;
  };
  const auto run_worker = [&] {
    try {
      while (auto item = take()) {
        Output output = work(std::move(item->second));
        const std::lock_guard lock(mutex);
        done.emplace(item->first, std::move(output));
        changed.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      changed.notify_all();
    }
  };

  std::vector<std::jthread> threads;
  for (size_t i = 0; i < workers; ++i) threads.emplace_back(run_worker);
  const auto next_output = [&]() -> std::optional<Output> {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return failure || done.count(next_delivery) > 0; });
    if (failure) return std::nullopt;
    auto node = done.extract(next_delivery++);
    changed.notify_all();
    return std::move(node.mapped());
  };
  try {
    for (size_t i = 0; i < count; ++i) {
      auto output = next_output();
      if (!output) break;
      deliver(i, *std::move(output));
    }
  } catch (...) {
    const std::lock_guard lock(mutex);
    failure = std::current_exception();
    changed.notify_all();
  }
  threads.clear();  // joins
  if (failure) std::rethrow_exception(failure);
}

}  // namespace streamo::data
