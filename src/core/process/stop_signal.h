// What SIGTERM, SIGINT and SIGHUP (a lost terminal) do to a command, and SIGUSR1 to a training run.
//
// A command ends at once, and nothing half-written is left: main() sees to that for all of them.
// One that has something to finish says so by a StopRule. A second signal ends any command at once.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

namespace streamo::core {

// Once, at the beginning of main(). SIGHUP stays ignored where it is (nohup); SIGUSR1 and SIGUSR2
// are ignored but for SaveOnSignal.
void watch_stop_signals();

// How a stop signal is obeyed.
struct StopRule {
  bool in_order = false;  // the command asks stop_requested(), and ends of itself
  const char* said = "";  // a literal, on stderr when the signal comes
  std::chrono::milliseconds grace = std::chrono::hours(24 * 365);  // in order; then at once
  std::optional<int> exit_code = {};          // at once; none: as killed by the signal
  std::function<void()> tell_others = [] {};  // before the end, at once
  std::function<bool()> others_stop = [] { return false; };  // then it ends at once, too
};
// From now on; also for a signal that has come already. The rule that held before.
StopRule set_stop_rule(StopRule rule);

bool stop_requested();  // since the process began

// A request to save and to go on, by SIGUSR1 while a SaveOnSignal lives.
class SaveOnSignal {
 public:
  SaveOnSignal();
  ~SaveOnSignal();
  SaveOnSignal(const SaveOnSignal&) = delete;
  SaveOnSignal& operator=(const SaveOnSignal&) = delete;
};
void request_save();
bool take_save_request();  // whether there was one since the last call

}  // namespace streamo::core
