// Workers take tickets in consumption order and finish in any order; next() waits for its ticket,
// so the batch does not depend on timing. Prefetch is bounded by bytes of pixels.
#include "data/loading/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/log.h"
#include "core/process/parallel.h"

namespace streamo::data {
namespace {

int64_t picture_bytes(const Example& example) {
  int64_t bytes = 0;
  for (const video::Frame& frame : example.frames) bytes += static_cast<int64_t>(frame.rgb.size());
  return bytes;
}

}  // namespace

struct Loader::Impl {
  const SampleSource& source;
  const text::ChatFormat& chat;
  const Index& index;
  Plan& plan;
  LoaderOptions options;

  std::mutex mutex{};
  std::condition_variable changed{};
  // Tickets number the items in the order the steps consume them.
  std::map<int64_t, core::Result<Example>> ready{};
  std::deque<StepPlan> handed_out{};  // steps whose items were given to workers
  std::vector<size_t> pending{};      // items of the newest of them
  size_t next_pending = 0;
  int64_t next_ticket = 0, next_wanted = 0;
  int64_t next_step_to_hand_out, next_step_to_return;
  int64_t waiting_bytes = 0;
  bool stopping = false;
  std::exception_ptr failure{};
  std::vector<std::jthread> workers{};  // last: joined before the rest goes

  core::Result<Example> load(const Item& item) const {
    auto sample = source.load(item.sample);
    if (!sample) return sample.fault();
    if (num_rounds(sample->conversation) < item.first_round + item.num_rounds)
      return core::Fault{sample->id + ": its video is shorter than it was when the run began"};
    return encode_example(
        cut_window(*std::move(sample), item.first_round, item.num_rounds, item.sink_rounds), chat,
        options.token_side, item.sink_rounds + item.seen_rounds);
  }

  // With the lock held: the next item to read, nullopt when all steps are handed out.
  std::optional<std::pair<int64_t, Item>> take_ticket() {
    while (next_pending == pending.size()) {
      if (next_step_to_hand_out >= plan.total_steps()) return std::nullopt;
      pending.clear();
      next_pending = 0;
      handed_out.push_back(plan.step(next_step_to_hand_out++));
      for (const MicroBatchPlan& micro_batch : handed_out.back().micro_batches) {
        pending.insert(pending.end(), micro_batch.items.begin(), micro_batch.items.end());
      }
    }
    return std::pair{next_ticket++, index.items[pending[next_pending++]]};
  }

  bool room() const { return waiting_bytes < options.prefetch_bytes || next_ticket == next_wanted; }

  void work() {
    try {
      for (;;) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopping || failure || room(); });
        if (stopping || failure) return;
        const auto ticket = take_ticket();
        if (!ticket) return;
        lock.unlock();
        changed.notify_all();  // next() may wait for the step's plan
        auto example = load(ticket->second);
        lock.lock();
        if (example) waiting_bytes += picture_bytes(*example);
        ready.emplace(ticket->first, std::move(example));
        changed.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      changed.notify_all();
    }
  }

  StepPlan wait_for_plan() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return failure || !handed_out.empty(); });
    if (failure) std::rethrow_exception(failure);
    StepPlan step = std::move(handed_out.front());
    handed_out.pop_front();
    return step;
  }

  core::Result<Example> wait_for_next() {
    std::unique_lock lock(mutex);
    const int64_t ticket = next_wanted;
    changed.wait(lock, [&] { return failure || ready.contains(ticket); });
    if (failure) std::rethrow_exception(failure);
    core::Result<Example> example = std::move(ready.at(ticket));
    ready.erase(ticket);
    ++next_wanted;
    if (example) waiting_bytes -= picture_bytes(*example);
    changed.notify_all();
    return example;
  }
};

Loader::Loader(const SampleSource& source, const text::ChatFormat& chat, const Index& index,
               Plan& plan, LoaderOptions options, int64_t first_step)
    : impl_(new Impl{.source = source,
                     .chat = chat,
                     .index = index,
                     .plan = plan,
                     .options = options,
                     .next_step_to_hand_out = first_step,
                     .next_step_to_return = first_step}) {
  impl_->workers = core::start_threads(static_cast<size_t>(std::max(options.num_workers, 1)), 1,
                                       [impl = impl_.get()] { impl->work(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
}

StepBatch Loader::next() {
  const double started = core::monotonic_seconds();
  const StepPlan step_plan = impl_->wait_for_plan();
  StepBatch step{
      .step = impl_->next_step_to_return++, .epoch = step_plan.epoch, .rounds = step_plan.rounds};
  for (const MicroBatchPlan& micro_batch : step_plan.micro_batches) {
    MicroBatch batch{.number = micro_batch.number};
    for (const size_t item : micro_batch.items) {
      if (auto example = impl_->wait_for_next()) {
        batch.append(*std::move(example));
      } else {
        step.bad.push_back({impl_->source.id(impl_->index.items[item].sample), example.reason()});
      }
    }
    step.micro_batches.push_back(std::move(batch));
  }
  step.seconds_waited = core::monotonic_seconds() - started;
  return step;
}

}  // namespace streamo::data
