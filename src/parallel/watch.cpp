// A heartbeat thread that writes this rank's beat to the store and reads the others', and a guard
// thread that ends the process when the store itself hangs.
#include "parallel/watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "core/log.h"
#include "parallel/rendezvous.h"
#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kBeat{500};
// Between looks for something that is waited for: to wait in the store would keep the beats back.
constexpr std::chrono::milliseconds kPoll{20};
// Silence of less than this is no news, nor is a wait of less than that.
constexpr std::chrono::milliseconds kSpeaksWithin{2000}, kFirstWord{30'000};

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

// Of this machine. A zombie has ended, though its number is still taken.
bool process_has_ended(int64_t process) {
  std::ifstream status(fmt::format("/proc/{}/stat", process));
  std::string text;
  if (!std::getline(status, text)) return true;
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
  const char state = text[name_end + 2];
  return state == 'Z' || state == 'X';
}

void set(c10d::Store& store, const std::string& key, const std::string& value) {
  store.set(key, std::vector<uint8_t>(value.begin(), value.end()));
}

// What is in the store of each rank: "who", "beat"; at its end "done", "failed" or "culprit".
std::string key(const char* what, int rank) {
  return fmt::format("{}/{}", what, rank);
}

}  // namespace

// Looks for a refusal on every poll: a process that was refused never writes its "who", so the
// others would wait for it until the deadline.
void Watch::wait_for(int rank, Clock::time_point deadline) {
  while (!store_->check({key("who", rank)})) {
    if (const std::string why = refusal(*store_); !why.empty()) {
      linger_for_readers(rank_);
      throw core::Error(core::ErrorKind::kPeer, "another process was refused: " + why,
                        fmt::format("seen by rank {}", rank_), "look at what that one said");
    }
    if (Clock::now() > deadline) throw std::runtime_error(fmt::format("rank {} did not", rank));
    std::this_thread::sleep_for(kPoll);
  }
}

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, int rank, int size,
             std::chrono::seconds patience)
    : store_(std::move(store)),
      rank_(rank),
      size_(size),
      patience_(std::chrono::milliseconds(patience).count()),
      peers_(static_cast<size_t>(size)) {
  const auto deadline = Clock::now() + patience;
  set(*store_, key("who", rank), fmt::format("{} {}", ::getpid(), host_name()));
  write_beat();
  for (int other = 0; other < size; ++other) {
    Peer& peer = peers_[static_cast<size_t>(other)];
    wait_for(other, deadline);
    std::istringstream who(told(*store_, key("who", other)));
    who >> peer.process >> peer.host;
  }
  thread_ = std::thread([this] { run(); });
  guard_ = std::thread([this] { guard(); });
}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();  // while the guard still looks after it
  {
    const std::lock_guard lock(mutex_);
    guard_stops_ = true;
  }
  changed_.notify_all();
  guard_.join();
}

// On a thread of its own, because a request to the store of a machine that was cut off never
// returns: run() would hang in it and could end nothing. Counts its own seconds: time in which the
// whole process was stopped says nothing about the store.
void Watch::guard() {
  std::unique_lock lock(mutex_);
  int64_t seen = -1;
  for (std::chrono::milliseconds silence{0}; silence.count() < silence_;) {
    if (changed_.wait_for(lock, std::chrono::seconds(1), [this] { return guard_stops_; })) return;
    const int64_t answers = answers_.load();
    silence = answers == seen ? silence + std::chrono::seconds(1) : silence.zero();
    seen = answers;
  }
  core::log_line("error: ",
                 fmt::format("{} cannot be reached, its store has not answered for {} s, so this "
                             "rank ends too",
                             describe_rank(0), static_cast<double>(silence_) / 1000));
  std::_Exit(static_cast<int>(core::ErrorKind::kPeer));
}

std::string Watch::describe_rank(int rank) const {
  const Peer& peer = peers_[static_cast<size_t>(rank)];
  return fmt::format("rank {} on {}, process {}", rank, peer.host, peer.process);
}

std::string Watch::rank_host(int rank) const {
  return peers_[static_cast<size_t>(rank)].host;
}

void Watch::follow(std::function<bool()> is_over, std::string what) {
  const std::lock_guard lock(mutex_);
  followed_.push_back({std::move(is_over), std::move(what), Wait(*this)});
}

core::Error Watch::hang(const std::string& what, const std::string& lagging) const {
  return {core::ErrorKind::kHang, fmt::format("{} did not come to an end: {}", what, lagging),
          fmt::format("seen by rank {}", rank_),
          "the same command goes on from the last checkpoint; if it stands still there again, look "
          "at that machine, or set parallel.timeout to the seconds that it may need"};
}

// Nobody waits on the host for a GPU collective, so there is no call that could throw: this thread
// ends the process itself. If a peer has died, that is the reason, and run() deals with it.
void Watch::check_followed(std::chrono::milliseconds passed) {
  std::unique_lock lock(mutex_);
  while (!followed_.empty() && followed_.front().is_over()) followed_.pop_front();
  if (followed_.empty() || !ended_.empty()) return;
  Followed& oldest = followed_.front();
  lock.unlock();  // only this thread takes it away
  const std::string lagging = oldest.wait.go_on(passed);
  if (lagging.empty()) return;
  core::log_line("error: ", hang(oldest.what, lagging).what());
  report_culprit(lagging);
  std::_Exit(static_cast<int>(core::ErrorKind::kHang));
}

int Watch::local_count(int end) const {
  const auto here = [&](const Peer& peer) {
    return peer.host == peers_[static_cast<size_t>(rank_)].host;
  };
  return static_cast<int>(std::count_if(peers_.begin(), peers_.begin() + end, here));
}

void Watch::set_activity(const std::string& what, const core::Progress* progress,
                         std::chrono::milliseconds pause) {
  {
    const std::lock_guard lock(mutex_);
    if (what != activity_.what) activity_.since = Clock::now();
    activity_.what = what;
    activity_.progress = progress;
    activity_.pause = progress != nullptr && pause.count() == 0 ? patience() : pause;
    ++marks_;  // it has turned to something else
    beat_due_ = true;
  }
  changed_.notify_all();
}

void Watch::request_stop() {
  if (stop_.exchange(true)) return;
  {
    const std::lock_guard lock(mutex_);
    beat_due_ = true;
  }
  changed_.notify_all();
}

Heartbeat Watch::beat() {
  Activity activity;
  {
    const std::lock_guard lock(mutex_);
    activity = activity_;
  }
  Heartbeat beat{.number = beats_++,
                 .collectives = collectives_.load(),
                 .progress = marks_.load(),
                 .pause = activity.pause,
                 .stop = stop_.load(),
                 .seconds = std::chrono::duration<double>(Clock::now() - activity.since).count(),
                 .activity = activity.what};
  if (activity.progress != nullptr) beat.progress += activity.progress->steps();
  if (activity.progress != &core::reading()) return beat;
  if (const auto file = core::FileInWork::oldest()) {
    beat.activity += ", decoding " + file->name;
    beat.seconds = file->seconds;
  }
  return beat;
}

void Watch::write_beat() {
  set(*store_, key("beat", rank_), beat().text());
}

bool Watch::has_ended(const Peer& peer) const {
  if (peer.host == peers_[static_cast<size_t>(rank_)].host) return process_has_ended(peer.process);
  return peer.pulse.silent().count() > silence_;
}

void Watch::mark_ended(const std::string& what) {
  if (!ended_.empty()) return;
  ended_ = what;
  ended_since_ = Clock::now();
  changed_.notify_all();
}

void Watch::read_peers(std::chrono::milliseconds passed) {
  if (const std::string why = refusal(*store_); !why.empty()) {
    const std::lock_guard lock(mutex_);
    mark_ended(why);
  }
  for (int other = 0; other < size_; ++other) {
    Peer& peer = peers_[static_cast<size_t>(other)];
    if (other == rank_ || peer.done) continue;
    if (store_->check({key("failed", other)})) {
      const std::string message = told(*store_, key("failed", other));
      const std::lock_guard lock(mutex_);
      mark_ended(fmt::format("{} ended: {}", describe_rank(other), message));
      continue;
    }
    if (store_->check({key("culprit", other)})) {
      const std::string culprit = told(*store_, key("culprit", other));
      const std::lock_guard lock(mutex_);
      mark_ended(culprit);
      continue;
    }
    const Heartbeat beat = Heartbeat::parse(told(*store_, key("beat", other)));
    std::unique_lock lock(mutex_);
    peer.pulse.hear(beat, passed);
    if (beat.stop) stop_ = true;
    const bool ended = has_ended(peer);
    lock.unlock();
    // In this order: a rank writes "done" before it exits, so a key that is read after its end was
    // seen cannot miss it, and no rank that finished is taken for one that died.
    peer.done = store_->check({key("done", other)});  // said before it ended
    if (peer.done || !ended) continue;
    const Heartbeat last = Heartbeat::parse(told(*store_, key("beat", other)));
    lock.lock();
    mark_ended(fmt::format("{} ended without a word, last seen at {}", describe_rank(other),
                           last.activity));
  }
}

void Watch::run() {
  std::unique_lock lock(mutex_);
  auto last_look = Clock::now(), next_look = last_look + kBeat;
  for (;;) {
    changed_.wait_until(lock, next_look, [this] { return stopping_ || beat_due_; });
    if (stopping_) return;
    // A change of activity is published immediately, so that peers apply its timeout from the
    // start. Reading them is a round trip to rank 0 per peer and stays at one per kBeat.
    const bool look = !beat_due_ || Clock::now() >= next_look;
    beat_due_ = false;
    if (look) next_look = Clock::now() + kBeat;
    if (!ended_.empty() && Clock::now() - ended_since_ > kGrace) {
      core::log_line("error: ", ended_ + ", so this rank ends too");
      std::_Exit(static_cast<int>(core::ErrorKind::kPeer));
    }
    lock.unlock();
    try {
      write_beat();
      if (look) {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(
            Clock::now() - std::exchange(last_look, Clock::now()));
        read_peers(passed);
        check_followed(passed);
      }
      ++answers_;
      lock.lock();
    } catch (const std::exception& error) {
      lock.lock();
      mark_ended(fmt::format("{} ended or cannot be reached: its store does not answer ({})",
                             describe_rank(0), error_text(error)));
    }
  }
}

std::string Watch::dead_peer(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [this] { return !ended_.empty(); });
  return ended_;
}

std::string Watch::describe_ranks(const std::function<bool(const Pulse&)>& meant) {
  const std::lock_guard lock(mutex_);
  std::string names;
  for (int other = 0; other < size_; ++other) {
    const Pulse& pulse = peers_[static_cast<size_t>(other)].pulse;
    if (other == rank_ || !meant(pulse)) continue;
    names += fmt::format("{}{} is still at {}", names.empty() ? "" : "; ", describe_rank(other),
                         pulse.beat().doing());
    if (pulse.silent() > kSpeaksWithin)
      names += fmt::format(" (nothing heard of it for {} s)", pulse.silent().count() / 1000);
  }
  return names;
}

std::string Watch::slow_peers() {
  return describe_ranks([this](const Pulse& pulse) { return is_behind(pulse); });
}

std::string Watch::hung_peers(std::chrono::milliseconds waited) {
  const std::chrono::milliseconds silence(silence_);
  // Idle time before the wait began has kept nobody waiting, so no more than `waited` of it counts.
  const auto stands = [&](const Pulse& pulse) {
    return pulse.silent() >= silence || std::min(pulse.still(), waited) >= pulse.limit(patience());
  };
  const std::string culprits = describe_ranks([&](const Pulse& pulse) {
    return pulse.silent() >= silence || (is_behind(pulse) && stands(pulse));
  });
  if (!culprits.empty()) return culprits;
  // Who is not behind waits too, unless the collective itself does not come to its end.
  if (!describe_ranks([&](const Pulse& pulse) {
         return is_behind(pulse) || !stands(pulse);
       }).empty())
    return "";
  return "all ranks are in it, a GPU or the network stands still";
}

// So that one says it for all.
bool Watch::is_first_waiting() {
  const std::lock_guard lock(mutex_);
  return std::all_of(peers_.begin(), peers_.begin() + rank_,
                     [&](const Peer& peer) { return is_behind(peer.pulse); });
}

std::string Watch::Wait::go_on(std::chrono::milliseconds passed) {
  // A longer interval means that this process was itself stopped.
  waited_ += std::min<std::chrono::milliseconds>(passed, 2 * kBeat);
  if (std::string standing = watch_.hung_peers(waited_); !standing.empty()) return standing;
  if (next_word_.count() == 0) {
    next_word_ = std::min<std::chrono::milliseconds>(
        kFirstWord,
        std::chrono::milliseconds(std::min(watch_.patience_.load(), watch_.silence_.load()) / 2));
  }
  if (waited_ < next_word_) return "";
  next_word_ = 2 * waited_;
  if (const std::string lagging = watch_.slow_peers();
      !lagging.empty() && watch_.is_first_waiting())
    core::log_line("note: ", fmt::format("waiting for {:.0f} s: {}",
                                         std::chrono::duration<double>(waited_).count(), lagging));
  return "";
}

void Watch::report_culprit(const std::string& culprit) {
  set(*store_, key("culprit", rank_), culprit);
}

void Watch::announce_failure(const std::string& message) {
  set(*store_, key("failed", rank_), message.substr(0, message.find('\n')));  // not its hint
}

void Watch::announce_done() {
  set(*store_, key("done", rank_), "");
}

void Watch::await_all_done(std::chrono::milliseconds limit) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < size_; ++rank) keys.push_back(key("done", rank));
  const auto deadline = Clock::now() + limit;
  while (!store_->check(keys) && Clock::now() < deadline) std::this_thread::sleep_for(kPoll);
}

}  // namespace streamo::parallel
