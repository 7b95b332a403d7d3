#include "streamo/train/stop_signal.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

namespace streamo::train {
namespace {

volatile std::sig_atomic_t g_signals = 0;  // NOLINT: a signal handler can reach nothing else
const char* g_doing = "";                  // NOLINT: likewise

void say(const char* text) {
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
}

void on_signal(int signal) {
  if (g_signals != 0) _exit(128 + signal);
  g_signals = 1;
  say("\nstopping: ");
  say(g_doing);
  say(" (a second signal stops at once)\n");
}

struct sigaction g_former_term, g_former_int;  // NOLINT: likewise

}  // namespace

StopSignal::StopSignal(const char* doing) {
  g_doing = doing;
  g_signals = 0;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, &g_former_term);
  sigaction(SIGINT, &action, &g_former_int);
}

StopSignal::~StopSignal() {
  sigaction(SIGTERM, &g_former_term, nullptr);
  sigaction(SIGINT, &g_former_int, nullptr);
}

bool StopSignal::requested() const {
  return g_signals != 0;
}

}  // namespace streamo::train
