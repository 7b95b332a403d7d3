// Parallel work on numbered items whose results leave in the order of their numbers.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/process/parallel.h"

namespace streamo::data {

// Results between the threads that make them and the one that wants them in order.
template <typename Output>
class OrderedResults {
 public:
  // At most `window` numbers are handed out beyond the results taken.
  OrderedResults(size_t count, size_t window) : count_(count), window_(window) {}

  // Waits until the next number may be handed out; none after the last, or after a failure.
  std::optional<size_t> hand_out() {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return failure_ || handed_out_ == count_ || handed_out_ < taken_ + window_; });
    if (failure_ || handed_out_ == count_) return std::nullopt;
    return handed_out_++;
  }
  void put(size_t number, Output output) {
    const std::lock_guard lock(mutex_);
    ready_.emplace(number, std::move(output));
    changed_.notify_all();
  }
  // Waits for the next result; none after a failure.
  std::optional<Output> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || ready_.count(taken_) > 0; });
    if (failure_) return std::nullopt;
    auto node = ready_.extract(taken_++);
    changed_.notify_all();
    return std::move(node.mapped());
  }
  void fail(std::exception_ptr failure) {  // the first one counts
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    changed_.notify_all();
  }
  void rethrow_failure() const {  // once no thread is left
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const size_t count_, window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<size_t, Output> ready_;
  size_t handed_out_ = 0, taken_ = 0;
  std::exception_ptr failure_;
};

// For each i in [0, count): claim(i) one after the other in order, work(claimed) on `num_workers`
// threads, deliver(i, result) on the calling thread in order. At most a few results a worker wait
// to be delivered, so memory does not grow with `count`. The first exception stops everything and
// is thrown to the caller.
template <typename Claim, typename Work, typename Deliver>
void ordered_pipeline(size_t count, int num_workers, const Claim& claim, const Work& work,
                      const Deliver& deliver) {
  using Input = decltype(claim(size_t{0}));
  using Output = decltype(work(claim(size_t{0})));
  const size_t workers = std::min(static_cast<size_t>(std::max(num_workers, 1)), count);
  OrderedResults<Output> results(count, /*window=*/4 * workers);
  std::mutex claim_mutex;
  const auto claim_next = [&] {
    std::optional<std::pair<size_t, Input>> item;
    const std::lock_guard in_order(claim_mutex);
    if (const auto number = results.hand_out()) item.emplace(*number, claim(*number));
    return item;
  };
  const auto run_worker = [&] {
    try {
      while (auto item = claim_next()) results.put(item->first, work(std::move(item->second)));
    } catch (...) {
      results.fail(std::current_exception());
    }
  };
  std::vector<std::jthread> threads = core::start_threads(workers, 1, run_worker);
  try {
    for (size_t i = 0; i < count; ++i) {
      auto output = results.take();
      if (!output) break;
      deliver(i, *std::move(output));
    }
  } catch (...) {
    results.fail(std::current_exception());
  }
  threads.clear();  // joins
  results.rethrow_failure();
}

}  // namespace streamo::data
