// Random numbers as pure functions of a key: no global generator, no hidden state.
//
// Every random choice of a run is keyed by (seed, purpose, epoch, sample ...), so it is the same
// for any number of threads and ranks and after a resume.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace streamo::core {

class Rng {  // splitmix64 (Steele, Lea, Flood 2014), a counter through a strong mixer
 public:
  explicit Rng(std::initializer_list<uint64_t> key);

  uint64_t next();
  double uniform();                            // [0, 1)
  double uniform(double low, double high);     // [low, high)
  int64_t integer(int64_t low, int64_t high);  // both ends included
  bool chance(double probability) { return uniform() < probability; }

  template <typename T>
  const T& pick(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(integer(0, static_cast<int64_t>(choices.size()) - 1))];
  }

  template <typename T>
  void shuffle(std::vector<T>& items) {  // Fisher-Yates; std::shuffle differs between libraries
    for (size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[static_cast<size_t>(integer(0, static_cast<int64_t>(i) - 1))]);
    }
  }

 private:
  uint64_t state_;
};

}  // namespace streamo::core
