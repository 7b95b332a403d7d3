// The processes of one run, and what they do together. One process alone is a run of size 1, where
// all of this costs nothing.
//
// Every method marked collective is called by all ranks in the same order. Sums over ranks are made
// in a fixed tree, ((0 + 1) + (2 + 3)) + ..., by whoever owns the result: the same bits on every
// rank and every time. c10d underneath: Gloo, and NCCL for tensors of a GPU once exchange_on() was
// called. On a GPU nothing waits on the host: what is queued behind a collective does.
//
// A rank that ends or stands still ends the others: a collective that cannot be completed throws
// core::Error{kPeer} or {kHang} with the rank, host and process at fault, where it was and what it
// said last. One that is slow is waited for, as long as it says that it gets on. And while this
// process computes, a thread of its own looks for the same, and ends it.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/process/progress.h"
#include "core/process/watchdog.h"
#include "parallel/launch.h"

namespace streamo::parallel {

class Ranks {
 public:
  Ranks();  // one process alone
  // Waits until all processes of the launch are there. Throws core::Error{kPeer} naming the address
  // when they do not come together within `patience`.
  explicit Ranks(const Launch& launch, std::chrono::seconds patience = std::chrono::seconds(300));
  ~Ranks();  // waits a moment for the others, who may still need what rank 0 serves
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const;
  int size() const;
  bool first() const { return rank() == 0; }
  // Of those on this machine.
  int local_rank() const;
  int local_size() const;
  // Its machine's name, and "rank 1 on HOST, process 42" for people.
  std::string rank_host(int rank) const;
  std::string describe_rank(int rank) const;

  // Collective, before split(). Tensors of this GPU are then exchanged by NCCL where they are; for
  // the CPU nothing changes. Throws core::Error{kUsage} unless all ranks have a GPU or none has.
  void exchange_on(at::Device device);
  // Collective. The values of all ranks, in order of the ranks.
  std::vector<std::string> gather(const std::string& value);
  // Collective. The sum over the ranks of each number.
  std::vector<double> sum(std::span<const double> values);
  double sum(double value) { return sum(std::span(&value, 1))[0]; }
  // Collective. parts [size, n] of every rank -> the sum of their rows number rank() [n], of bf16
  // in fp32.
  at::Tensor reduce_scatter(const at::Tensor& parts);
  // Collective. own [n] -> [size, n], the rows of all ranks.
  at::Tensor all_gather(const at::Tensor& own);
  // Collective. own [n] -> [n], the sum over the ranks.
  at::Tensor all_reduce(const at::Tensor& own);
  // The same two, begun now and awaited later: what is sent must not change until then. Begun by
  // all ranks in the same order, in which the other collectives take part.
  class Pending {
   public:
    at::Tensor wait();  // once

   private:
    friend class Ranks;
    struct State;
    std::shared_ptr<State> state_;
  };
  Pending start_reduce_scatter(const at::Tensor& parts);
  Pending start_all_gather(const at::Tensor& own);
  // Collective. Returns when all ranks have called it.
  void barrier();

  // How long a rank that others wait for may make no progress before the run is held to hang. An
  // hour at first. And how long it may say nothing at all, being stopped or cut off: 30 s at first.
  void set_timeout(std::chrono::milliseconds patience);
  void set_heartbeat_timeout(std::chrono::milliseconds silence);
  // Tells all ranks, within a second, that this one was asked to stop. Not collective: what they
  // then do together they must agree on.
  void request_stop();
  bool stop_requested() const;  // by any rank
  // This process is about to end because of that, with nothing to save: the others are told, and
  // have had time to do the same, when it returns.
  void leave_after_stop();
  // What this process is doing, for the others' messages: "step 12". Collectives are progress, and
  // note_progress().
  void set_activity(const std::string& activity);
  // The same of work of which nobody knows how long it takes: the others wait as long as `progress`
  // (which must live as long as this) does not stop for longer than `pause`; 0: the patience. While
  // it is core::reading(), the file in work is named. A process alone ends itself with kHang when
  // it stops for longer, unless that is 0.
  void set_activity(const std::string& activity, const core::Progress& progress,
                    std::chrono::milliseconds pause = {});
  void note_progress();
  // That the host has spent in collectives so far, for want of the others.
  double seconds_waited() const;
  // To be called with the message of what ends this process, before it ends: the others will name
  // it. Not collective; never throws.
  void announce_failure(const std::string& message) noexcept;

 private:
  friend struct ShardGroups;
  struct Impl;
  std::unique_ptr<Impl> impl_;  // null: alone
  core::Watchdog watchdog_;     // of a process alone, in whose place nobody waits
};

// The ranks of a run as a grid. What is kept in parts is cut inside a group, whose ranks stand in a
// row (those of one machine, say), and is the same in all groups.
struct ShardGroups {
  std::shared_ptr<Ranks> inside;  // this rank's group
  std::shared_ptr<Ranks> across;  // those that keep the same parts in other groups

  // Collective, once for each size. Groups of `group_size`, which divides ranks->size(); 0: one
  // group of all. The two share patience and fate with `ranks`, which must outlive them.
  static ShardGroups split(const std::shared_ptr<Ranks>& ranks, int group_size);
};

}  // namespace streamo::parallel
