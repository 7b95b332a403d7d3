// How long a rank may make no progress before the run is held to hang.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace streamo::train {

// By itself a run measures: a step by the steps before it, other work by how long it took before.
class Timeouts {
 public:
  using Duration = std::chrono::milliseconds;

  // Seconds; `timeout` 0: automatic, else it stands for all. `decode_timeout`: of one file.
  Timeouts(double timeout, double decode_timeout);

  // Between the signs of life of a step; a median of 0: nothing is known of it yet.
  Duration in_step(double median_step_seconds) const;
  // While a rank waits for its data: files that do not get on are given up in that time.
  Duration for_data(Duration in_step) const;
  // Of work like saving; `took` tells how long it has taken.
  Duration outside(const std::string& work) const;
  void took(const std::string& work, double seconds);
  // A process that does not even say that it lives is stopped or cut off.
  Duration for_silence() const;

 private:
  Duration timeout_, decode_;
  std::map<std::string, double> longest_;  // seconds
};

}  // namespace streamo::train
