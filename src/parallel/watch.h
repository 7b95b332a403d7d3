// Looks after the other processes of a run: who has ended, who stands still.
//
// Slow is not dead: a process that is behind is waited for as long as its beats tell of progress
// (core/progress.h). It stands still when it makes none for as long as it may in what it does, or
// when its beats stop.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "core/process/progress.h"
#include "parallel/beat.h"
#include "streamo/core/error.h"

namespace streamo::parallel {

// Every process writes into the store, twice a second and when it turns to something else, that it
// lives and what it does (Beat). It reads the same of the others. A process on this machine is
// known to have ended when the system says so; one elsewhere when nothing has been heard of it for
// kSilence.
class Watch {
 public:
  static constexpr std::chrono::seconds kSilence{30};
  // From when a peer is found dead until this process is ended, if nothing else has ended it: its
  // main thread usually notices the closed connection, and leaves in an orderly way.
  static constexpr std::chrono::seconds kGrace{3};

  // `store`: a connection of its own. Collective: waits for all, up to `patience`. Throws
  // core::Error{kPeer} when one was refused, std::runtime_error when one does not come.
  Watch(c10::intrusive_ptr<c10d::Store> store, int rank, int size, std::chrono::seconds patience);
  ~Watch();

  std::string rank_host(int rank) const;
  std::string describe_rank(int rank) const;  // with host and process
  // Processes on this machine, of those below rank `end`.
  int local_count(int end) const;
  void enter_collective() { ++collectives_; }
  // How long another may stand still in what tells no pause of its own, and all in a collective.
  void set_timeout(std::chrono::milliseconds patience) { patience_ = patience.count(); }
  std::chrono::milliseconds patience() const { return std::chrono::milliseconds(patience_); }
  // How long a process may say nothing at all: kSilence at first.
  void set_heartbeat_timeout(std::chrono::milliseconds silence) { silence_ = silence.count(); }
  // A collective that goes on by itself, as those of GPUs do: this process ends with kHang when it
  // is not over within the patience. `is_over` is called by another thread.
  void follow(std::function<bool()> is_over, std::string what);
  // What a process says that ends because `what` did not come to an end in time.
  core::Error hang(const std::string& what, const std::string& lagging) const;
  // `progress` counts as progress of this process, and may stop for `pause`; null: collectives and
  // note_progress() alone count, and the others' patience.
  void set_activity(const std::string& what, const core::Progress* progress = nullptr,
                    std::chrono::milliseconds pause = {});
  void note_progress() { ++marks_; }
  void request_stop();
  bool stop_requested() const { return stop_; }  // by any process
  // Waits up to `limit` for a process that has ended; "" if there is none.
  std::string dead_peer(std::chrono::milliseconds limit);
  // The processes that have entered fewer collectives than this one, and where they are.
  std::string slow_peers();
  // For how long a collective was waited for, which says now and then for whom.
  class Wait {
   public:
    explicit Wait(Watch& watch) : watch_(watch) {}
    // After `passed` more of it: who stands still, so that it will not end; "" as long as nobody.
    std::string go_on(std::chrono::milliseconds passed);

   private:
    Watch& watch_;
    std::chrono::milliseconds waited_{0}, next_word_{0};
  };
  void add_waited(double seconds) { seconds_waited_ += seconds; }
  double seconds_waited() const { return seconds_waited_; }  // on the host, in all
  void announce_failure(const std::string& message);
  // This process has done its part, and its end is nobody's trouble.
  void announce_done();
  // Returns when all have said so, or after `limit`.
  void await_all_done(std::chrono::milliseconds limit);
  // This process leaves because of what another did.
  void report_culprit(const std::string& culprit);

 private:
  struct Peer {
    std::string host;
    int64_t process = 0;
    Pulse pulse = {};
    bool done = false;
  };
  struct Followed {
    std::function<bool()> is_over;
    std::string what;
    Wait wait;
  };
  struct Activity {
    std::string what = "start";
    const core::Progress* progress = nullptr;
    std::chrono::milliseconds pause{0};
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  };
  void wait_for(int rank, std::chrono::steady_clock::time_point deadline);
  void run();
  void guard();
  Heartbeat beat();
  void write_beat();
  void read_peers(std::chrono::milliseconds passed);
  void check_followed(std::chrono::milliseconds passed);
  bool is_behind(const Pulse& pulse) const { return pulse.beat().collectives < collectives_; }
  std::string describe_ranks(const std::function<bool(const Pulse&)>& meant);
  std::string hung_peers(std::chrono::milliseconds waited);
  bool is_first_waiting();
  bool has_ended(const Peer& peer) const;
  void mark_ended(const std::string& what);

  c10::intrusive_ptr<c10d::Store> store_;
  const int rank_, size_;
  std::atomic<int64_t> collectives_{0}, marks_{0};
  std::atomic<int64_t> patience_{0}, silence_{std::chrono::milliseconds(kSilence).count()};
  std::atomic<bool> stop_{false};
  double seconds_waited_ = 0;  // the main thread's
  int64_t beats_ = 0;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  Activity activity_;
  std::vector<Peer> peers_;
  std::string ended_;  // what is known of a process that has ended
  std::chrono::steady_clock::time_point ended_since_;
  std::deque<Followed> followed_;  // in the order in which they come to their end
  bool beat_due_ = false;          // the others are to know of a new activity at once
  bool stopping_ = false;
  std::thread thread_;
  // Another thread, since a request to a store on a machine that is cut off never returns.
  std::atomic<int64_t> answers_{0};  // of the store
  bool guard_stops_ = false;         // under mutex_
  std::thread guard_;
};

}  // namespace streamo::parallel
