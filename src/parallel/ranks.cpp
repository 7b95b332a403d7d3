// Collectives over Gloo or NCCL that end with an error naming the peer that died or hung.
#include "parallel/ranks.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>

#include <exception>
#include <thread>

#include "parallel/host_wait.h"
#include "parallel/rendezvous.h"
#include "parallel/tree_sum.h"
#include "parallel/watch.h"
#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using at::Tensor;
using std::chrono::milliseconds, std::chrono::seconds;

constexpr seconds kStartupTimeout{3600};  // indexing and loading differ between ranks
constexpr milliseconds kUnboundedWait = std::chrono::hours(24 * 365);
constexpr seconds kShutdownGrace{10}, kShortShutdownGrace{3};
constexpr seconds kPeerDeathDelay{4};  // a collective breaks before its peer's end is known

// What is the same for a run and its groups.
struct RunState {
  int rank;
  StoreAddress meeting;  // where the store is
  StorePtr store;
  std::unique_ptr<Watch> watch;
  std::shared_ptr<gloo::transport::Device> gloo_device;
  at::Device device = at::kCPU;  // whose tensors are exchanged where they are
  bool failed = false;
};

}  // namespace

struct Ranks::Impl {
  int rank, size;
  std::string name;  // of the group
  std::shared_ptr<RunState> run;
  GroupPtr host_group, device_group = nullptr;  // the second one null: no GPUs
  bool is_group = false;                        // of a run, which takes leave for it

  static std::unique_ptr<Impl> form(const std::shared_ptr<RunState>& run, const std::string& name,
                                    int rank, int size) {
    auto impl = std::make_unique<Impl>(Impl{
        rank, size, name, run,
        form_gloo_group(run->store, name, rank, size, run->gloo_device, run->watch->patience())});
    impl->form_device_group();
    return impl;
  }

  void form_device_group() {
    if (run->device.is_cuda())
      device_group = form_nccl_group(run->store, name, rank, size, run->device);
  }

  // Where a group can take it from.
  Tensor to_exchange(const Tensor& tensor) const {
    return stays_on_device(tensor) ? tensor.contiguous() : tensor.contiguous().cpu();
  }
  bool stays_on_device(const Tensor& tensor) const { return device_group && tensor.is_cuda(); }

  [[noreturn]] void fail(const std::string& reason, const std::string& what) {
    run->failed = true;
    const std::string here = fmt::format("seen by rank {}", run->rank);
    if (const std::string ended = run->watch->dead_peer(kPeerDeathDelay); !ended.empty()) {
      report_culprit(ended);
      throw core::Error(core::ErrorKind::kPeer, ended, here,
                        "look at what that rank said; the same command goes on from the last "
                        "checkpoint");
    }
    if (const std::string lagging = run->watch->slow_peers(); !lagging.empty()) hang(lagging, what);
    throw core::Error(core::ErrorKind::kPeer, fmt::format("{} failed: {}", what, reason), here,
                      "the same command goes on from the last checkpoint");
  }

  [[noreturn]] void hang(const std::string& culprit, const std::string& what) {
    run->failed = true;
    report_culprit(culprit);
    throw run->watch->hang(what, culprit);
  }

  // This process leaves because of another: those who are still there are to name that one.
  void report_culprit(const std::string& culprit) {
    try {
      run->watch->report_culprit(culprit);
    } catch (const std::exception&) {  // the store is gone, and with it who would listen
    }
  }

  // The library itself never gives up: whether there is hope only the watch knows.
  template <typename Options>
  static Options unbounded() {
    Options options;
    options.timeout = kUnboundedWait;
    return options;
  }

  // Calls `start` with the group for `tensor`; it returns the work of a collective.
  template <typename Start>
  c10::intrusive_ptr<c10d::Work> begin(const Tensor& tensor, const char* what, const Start& start) {
    run->watch->enter_collective();
    try {
      return start(stays_on_device(tensor) ? *device_group : *host_group);
    } catch (const std::exception& error) {
      fail(error_text(error), what);
    }
  }

  void wait_for(c10d::Work& work, const Tensor& exchanged, const char* what) {
    try {
      if (!stays_on_device(exchanged)) {
        if (const auto who = wait_for_collective(work, *run->watch); !who.empty()) hang(who, what);
        return;
      }
      work.wait();  // only what is queued from here on does: the watch sees to the end
      const c10::impl::VirtualGuardImpl on(exchanged.device().type());
      auto reached = std::make_shared<c10::Event>(exchanged.device().type());
      reached->record(on.getStream(exchanged.device()));
      run->watch->follow([reached] { return reached->query(); }, what);
    } catch (const core::Error&) {
      throw;
    } catch (const std::exception& error) {
      fail(error_text(error), what);
    }
  }
};

// Keeps the tensors of a collective under way.
struct Ranks::Pending::State {
  Impl* ranks;
  const char* what;
  at::Device device;  // of the result
  Tensor input = {}, output = {};
  c10::intrusive_ptr<c10d::Work> work = {};
  bool sums = false;  // the rows of `output`
};

Ranks::Ranks() = default;

Ranks::Ranks(const Launch& launch, seconds patience) {
  if (launch.world_size == 1) return;
  FLAGS_caffe2_log_level = c10::GLOG_FATAL;  // c10d would print the stacks of errors we report
  try {
    auto run = std::make_shared<RunState>();
    run->rank = launch.rank;
    run->meeting = find_store(launch, patience);
    run->store = connect_store(launch, run->meeting, patience);
    register_rank(*run->store, launch);
    run->watch = std::make_unique<Watch>(connect_store(launch, run->meeting, patience), launch.rank,
                                         launch.world_size, patience);
    run->gloo_device = gloo_device_towards(launch);
    impl_ = Impl::form(run, "all", launch.rank, launch.world_size);
    set_timeout(kStartupTimeout);
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw core::Error(
        core::ErrorKind::kPeer,
        fmt::format("the {} processes of the run did not come together (they have {} s for it): {}",
                    launch.world_size, patience.count(), error_text(error)),
        fmt::format("rank {}, master {}:{} (from {})", launch.rank, launch.master_address,
                    launch.master_port, launch.launcher),
        "check that all of them were started and that the port is free and reachable");
  }
}

Ranks::~Ranks() {
  if (!impl_) return;
  if (impl_->device_group) {
    // To shut down waits for what is under way, which after an error may never end.
    std::uncaught_exceptions() > 0 ? impl_->device_group->abort() : impl_->device_group->shutdown();
  }
  // A thread of Gloo may wait for ever for who stands still, and destroying the group for it.
  if (impl_->run->failed) static_cast<void>(impl_->host_group.release());
  if (impl_->is_group) return;
  // Rank 0 serves the store that the others still read: it leaves last.
  const RunState& run = *impl_->run;
  try {
    if (!run.failed) run.watch->announce_done();
    if (rank() == 0) run.watch->await_all_done(run.failed ? kShortShutdownGrace : kShutdownGrace);
  } catch (const std::exception&) {  // they are gone already
  }
}

ShardGroups ShardGroups::split(const std::shared_ptr<Ranks>& ranks, int group_size) {
  if (group_size == 0 || group_size == ranks->size()) return {ranks, std::make_shared<Ranks>()};
  STREAMO_CHECK(group_size > 0 && ranks->size() % group_size == 0, "groups of one size");
  const int group = ranks->rank() / group_size, place = ranks->rank() % group_size;
  const auto form = [&](const std::string& name, int rank, int size) {
    auto part = std::make_shared<Ranks>();
    if (size == 1) return part;
    const Ranks::Impl& all = *ranks->impl_;
    try {
      part->impl_ = Ranks::Impl::form(all.run, name, rank, size);
      part->impl_->is_group = true;
    } catch (const std::exception& error) {
      ranks->impl_->fail(error_text(error), "forming groups of ranks");
    }
    return part;
  };
  return {form(fmt::format("{}-group-{}", group_size, group), place, group_size),
          form(fmt::format("{}-place-{}", group_size, place), group, ranks->size() / group_size)};
}

int Ranks::rank() const {
  return impl_ ? impl_->rank : 0;
}

int Ranks::size() const {
  return impl_ ? impl_->size : 1;
}

int Ranks::local_rank() const {
  return impl_ ? impl_->run->watch->local_count(rank()) : 0;
}

int Ranks::local_size() const {
  return impl_ ? impl_->run->watch->local_count(size()) : 1;
}

std::string Ranks::rank_host(int rank) const {
  return impl_ ? impl_->run->watch->rank_host(rank) : "this machine";
}

std::string Ranks::describe_rank(int rank) const {
  return impl_ ? impl_->run->watch->describe_rank(rank) : "this process";
}

Ranks::Pending Ranks::start_all_gather(const Tensor& own) {
  Pending pending;
  pending.state_ = std::make_shared<Pending::State>(
      Pending::State{impl_.get(), "a gathering over the ranks", own.device()});
  Pending::State& state = *pending.state_;
  if (!impl_) {
    state.output = own.unsqueeze(0);
    return pending;
  }
  state.input = impl_->to_exchange(own);
  state.output = at::empty({size(), own.size(0)}, state.input.options());
  state.work = impl_->begin(state.input, state.what, [&](c10d::Backend& group) {
    Tensor flat = state.output.view({-1});
    return group._allgather_base(flat, state.input, Impl::unbounded<c10d::AllgatherOptions>());
  });
  return pending;
}

Ranks::Pending Ranks::start_reduce_scatter(const Tensor& parts) {
  STREAMO_CHECK(parts.dim() == 2 && parts.size(0) == size(), "one row a rank");
  Pending pending;
  pending.state_ = std::make_shared<Pending::State>(
      Pending::State{impl_.get(), "a sum over the ranks", parts.device()});
  Pending::State& state = *pending.state_;
  state.sums = true;
  if (!impl_) {
    state.output = parts;
    return pending;
  }
  state.input = impl_->to_exchange(parts.view({-1}));
  state.output = at::empty_like(state.input).view(parts.sizes());
  state.work = impl_->begin(state.input, state.what, [&](c10d::Backend& group) {
    Tensor received = state.output.view({-1});
    std::vector<int64_t> equal_counts;
    return group.alltoall_base(received, state.input, equal_counts, equal_counts,
                               Impl::unbounded<c10d::AllToAllOptions>());
  });
  return pending;
}

Tensor Ranks::Pending::wait() {
  const std::shared_ptr<State> state = std::move(state_);
  if (state->work) state->ranks->wait_for(*state->work, state->input, state->what);
  return (state->sums ? tree_sum(state->output) : state->output).to(state->device);
}

Tensor Ranks::all_gather(const Tensor& own) {
  return start_all_gather(own).wait();
}

Tensor Ranks::reduce_scatter(const Tensor& parts) {
  return start_reduce_scatter(parts).wait();
}

Tensor Ranks::all_reduce(const Tensor& own) {
  if (!impl_) return own;
  const int64_t part = (own.size(0) + size() - 1) / size();
  Tensor rows = at::zeros({size() * part}, own.options());
  rows.narrow(0, 0, own.size(0)).copy_(own);
  return all_gather(reduce_scatter(rows.view({size(), part}))).view({-1}).narrow(0, 0, own.size(0));
}

std::vector<double> Ranks::sum(std::span<const double> values) {
  if (!impl_) return {values.begin(), values.end()};
  const auto count = static_cast<int64_t>(values.size());
  const Tensor own = at::empty({count}, at::kDouble);
  std::copy(values.begin(), values.end(), own.data_ptr<double>());
  const Tensor sum = tree_sum(all_gather(own)).contiguous();
  return {sum.data_ptr<double>(), sum.data_ptr<double>() + count};
}

std::vector<std::string> Ranks::gather(const std::string& value) {
  if (!impl_) return {value};
  const Tensor length = at::empty({1}, at::kLong);
  length.data_ptr<int64_t>()[0] = static_cast<int64_t>(value.size());
  const Tensor lengths = all_gather(length);
  const auto longest = std::max<int64_t>(1, lengths.max().item<int64_t>());
  const Tensor padded = at::zeros({longest}, at::kByte);
  std::copy(value.begin(), value.end(), padded.data_ptr<uint8_t>());
  const Tensor all = all_gather(padded);
  std::vector<std::string> values;
  for (int other = 0; other < size(); ++other) {
    const auto* text = reinterpret_cast<const char*>(all[other].data_ptr<uint8_t>());
    values.emplace_back(text, static_cast<size_t>(lengths[other].item<int64_t>()));
  }
  return values;
}

void Ranks::barrier() {
  sum(0.0);
}

void Ranks::set_timeout(milliseconds patience) {
  if (impl_) impl_->run->watch->set_timeout(patience);
}

void Ranks::exchange_on(at::Device device) {
  if (!impl_) return;
  const std::vector<std::string> kinds = gather(device.is_cuda() ? "a GPU" : "no GPU");
  for (int other = 0; other < size(); ++other) {
    const std::string& kind = kinds[static_cast<size_t>(other)];
    if (kind == kinds[0]) continue;
    throw core::Error(core::ErrorKind::kUsage,
                      "some processes have a GPU and some have none: " +
                          fmt::format("rank 0 has {}, rank {} has {}", kinds[0], other, kind),
                      "devices", "start as many processes as there are GPUs on each machine");
  }
  impl_->run->device = device;
  impl_->form_device_group();
}

void Ranks::request_stop() {
  if (impl_) impl_->run->watch->request_stop();
}

void Ranks::leave_after_stop() {
  if (!impl_) return;
  try {
    impl_->run->watch->request_stop();
    impl_->run->watch->announce_done();
  } catch (const std::exception&) {  // the store is gone, and with it who would listen
    return;
  }
  // The others look twice a second; rank 0, whose store they read, leaves last.
  std::this_thread::sleep_for(milliseconds(rank() == 0 ? 1'300 : 600));
}

bool Ranks::stop_requested() const {
  return impl_ && impl_->run->watch->stop_requested();
}

void Ranks::set_heartbeat_timeout(milliseconds silence) {
  if (impl_) impl_->run->watch->set_heartbeat_timeout(silence);
}

void Ranks::set_activity(const std::string& activity) {
  impl_ ? impl_->run->watch->set_activity(activity) : watchdog_.rest();
}

void Ranks::set_activity(const std::string& activity, const core::Progress& progress,
                         milliseconds pause) {
  if (impl_) return impl_->run->watch->set_activity(activity, &progress, pause);
  watchdog_.expect(activity, progress, pause);
}

void Ranks::note_progress() {
  if (impl_) impl_->run->watch->note_progress();
}

double Ranks::seconds_waited() const {
  return impl_ ? impl_->run->watch->seconds_waited() : 0;
}

void Ranks::announce_failure(const std::string& message) noexcept {
  if (!impl_ || impl_->run->failed) return;  // a failed collective is another's fault
  try {
    impl_->run->watch->announce_failure(message);
    // Rank 0 serves the message too: the others need a moment to read it.
    if (rank() == 0) std::this_thread::sleep_for(seconds(2));
  } catch (const std::exception&) {  // the store is gone, and with it who would listen
  }
}

}  // namespace streamo::parallel
