// SIGTERM and SIGINT ask the run to save and stop; a second one ends it at once.
#pragma once

namespace streamo::train {

class StopSignal {
 public:
  StopSignal();   // installs the handlers
  ~StopSignal();  // puts the former ones back
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;
};

}  // namespace streamo::train
