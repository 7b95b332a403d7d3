// Looks after the other processes of a run: who has ended, who stands still.
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

#include "streamo/core/error.h"

namespace streamo::dist {

// Every process writes into the store, twice a second and when it turns to something else, that it
// lives, how many collectives it has entered, whether it was asked to stop and what it does. It
// reads the same of the others. A process on this machine is known to have ended when the system
// says so; one elsewhere when nothing has been heard of it for kSilence.
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

  std::string host_of(int rank) const;
  std::string name_of(int rank) const;  // with host and process
  // Processes on this machine, of those below rank `end`.
  int local_count(int end) const;
  void enter_collective() { ++collectives_; }
  // How long a collective may take.
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience.count(); }
  std::chrono::milliseconds patience() const { return std::chrono::milliseconds(patience_); }
  // A collective that goes on by itself, as those of GPUs do: this process ends with kHang when it
  // is not over within the patience. `is_over` is called by another thread.
  void follow(std::function<bool()> is_over, std::string what);
  // What a process says that ends because `what` did not come to an end in time.
  core::Error hang(const std::string& what, const std::string& lagging) const;
  void set_activity(const std::string& activity);
  void request_stop() { stop_ = true; }
  bool stop_requested() const { return stop_; }  // by any process
  // Waits up to `limit` for a process that has ended; "" if there is none.
  std::string who_ended(std::chrono::milliseconds limit);
  // The processes that have entered fewer collectives than the others, and where they are.
  std::string who_lags();
  void announce_failure(const std::string& message);
  // This process has done its part, and its end is nobody's trouble.
  void say_done();
  // Returns when all have said so, or after `limit`.
  void wait_for_all_done(std::chrono::milliseconds limit);
  // This process leaves because of what another did.
  void pass_on(const std::string& culprit);

 private:
  struct Peer {
    std::string host;
    int64_t process = 0;
    std::string beat;  // as last read
    std::chrono::steady_clock::time_point changed;
    bool done = false;
  };
  struct Followed {
    std::function<bool()> is_over;
    std::string what;
    std::chrono::steady_clock::time_point begun;
  };
  struct Beat {
    int64_t collectives = INT64_MAX;  // nothing heard yet: not behind
    bool stop = false;
    std::string activity;
  };
  static Beat parse(const std::string& text);
  void wait_for(int rank, std::chrono::steady_clock::time_point deadline);
  void run();
  void guard();
  void write_beat();
  void read_peers();
  void look_after_followed();
  bool has_ended(const Peer& peer) const;
  void find_ended(const std::string& what);

  c10::intrusive_ptr<c10d::Store> store_;
  const int rank_, size_;
  std::atomic<int64_t> collectives_{0};
  std::atomic<int64_t> patience_{0};
  std::atomic<bool> stop_{false};
  int64_t beats_ = 0;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::string activity_ = "start";
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

}  // namespace streamo::dist
