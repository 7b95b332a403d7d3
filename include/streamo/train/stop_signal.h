// SIGTERM and SIGINT ask a command to come to an end in order; a second one ends it at once.
#pragma once

namespace streamo::train {

class StopSignal {
 public:
  // Installs the handlers. `doing` (a literal) says on stderr what the first signal leads to.
  explicit StopSignal(const char* doing = "saving a checkpoint first");
  ~StopSignal();  // puts the former ones back
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;
};

}  // namespace streamo::train
