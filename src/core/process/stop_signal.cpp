// Handling of stop signals: the handler only writes the number to a pipe, and a thread acts on it,
// since a handler may neither delete files nor wait.
#include "core/process/stop_signal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "core/io/temporary.h"
#include "core/log.h"
#include "core/print.h"

namespace streamo::core {
namespace {

constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGHUP};
constexpr auto kLook = std::chrono::milliseconds(100);  // how often others are asked

std::atomic<int> g_signals{0};         // NOLINT: a signal handler can reach nothing else
std::atomic<const char*> g_said{""};   // NOLINT: likewise
std::atomic<bool> g_save{false};       // NOLINT: likewise
std::array<int, 2> g_pipe = {-1, -1};  // NOLINT: likewise

void say(const char* text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void on_stop_signal(int signal) {
  const int error = errno;
  // The thread acts on the first two; if it cannot even do that, nothing is waited for.
  if (++g_signals > 2 || g_pipe[1] < 0) ::_exit(128 + signal);
  if (const char* said = g_said; g_signals == 1 && *said != '\0') {
    for (const char* text : {"\nstopping: ", said, "\n"}) say(text);
  }
  const auto number = static_cast<char>(signal);
  [[maybe_unused]] const auto written = ::write(g_pipe[1], &number, 1);
  errno = error;
}

void on_save_signal(int /*signal*/) {
  g_save = true;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

struct State {
  std::mutex mutex;
  StopRule rule;
};
State& state() {
  static auto& the_state = *new State;  // NOLINT: must outlive the thread
  return the_state;
}
StopRule rule_now() {
  const std::lock_guard lock(state().mutex);
  return state().rule;
}

[[noreturn]] void end_at_once(int signal, std::optional<int> exit_code) {
  remove_own_temporaries();
  if (::isatty(STDERR_FILENO) == 1) show(stderr, "\n");  // behind a line that is redrawn
  if (exit_code) ::_exit(*exit_code);
  handle(signal, SIG_DFL);  // so that a shell sees what happened, and ends its script on Ctrl-C
  ::kill(::getpid(), signal);
  ::_exit(128 + signal);
}

// The next signal; 0: none within `limit`.
int next_signal(std::chrono::milliseconds limit) {
  pollfd signals = {.fd = g_pipe[0], .events = POLLIN, .revents = 0};
  if (::poll(&signals, 1, static_cast<int>(limit.count())) != 1) return 0;
  char number = 0;
  return ::read(g_pipe[0], &number, 1) == 1 ? number : 0;
}

// From the first signal on, looked at again and again, since the rule may change.
void obey(int first) {
  const auto began = std::chrono::steady_clock::now();
  for (;;) {
    const StopRule rule = rule_now();
    if (!rule.in_order) {
      rule.tell_others();
      end_at_once(first, rule.exit_code);
    }
    if (std::chrono::steady_clock::now() - began > rule.grace) end_at_once(first, rule.exit_code);
    if (const int second = next_signal(kLook); second != 0) end_at_once(second, std::nullopt);
  }
}

void watch() {
  for (;;) {
    if (const int signal = next_signal(kLook); signal != 0) obey(signal);
    if (const StopRule rule = rule_now(); !rule.in_order && rule.others_stop()) {
      rule.tell_others();
      end_at_once(SIGTERM, rule.exit_code);
    }
  }
}

}  // namespace

void watch_stop_signals() {
  if (::pipe2(g_pipe.data(), O_CLOEXEC | O_NONBLOCK) == 0) {
    try {
      std::thread(watch).detach();
    } catch (
        const std::exception&) {  // at the limit of threads: the handler ends the process itself
      g_pipe[1] = -1;
    }
  }
  for (const int signal : kStopSignals) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;  // nohup
    handle(signal, on_stop_signal);
  }
}

StopRule set_stop_rule(StopRule rule) {
  const std::lock_guard lock(state().mutex);
  g_said = rule.said;
  return std::exchange(state().rule, std::move(rule));
}

bool stop_requested() {
  return g_signals > 0;
}

SaveOnSignal::SaveOnSignal() {
  handle(SIGUSR1, on_save_signal);
}

SaveOnSignal::~SaveOnSignal() {
  handle(SIGUSR1, SIG_IGN);
}

void request_save() {
  g_save = true;
}

bool take_save_request() {
  return g_save.exchange(false);
}

}  // namespace streamo::core
