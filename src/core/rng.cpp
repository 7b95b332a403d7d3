// The key is folded into the state with the finaliser that also produces the numbers.
#include "core/rng.h"

namespace streamo::core {
namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Rng::Rng(std::initializer_list<uint64_t> key) : state_(0x9e3779b97f4a7c15ULL) {
  for (uint64_t part : key) state_ = mix(state_ ^ mix(part + 0x9e3779b97f4a7c15ULL));
}

uint64_t Rng::next() {
  return mix(state_ += 0x9e3779b97f4a7c15ULL);
}

double Rng::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

double Rng::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

int64_t Rng::integer(int64_t low, int64_t high) {
  const auto range = static_cast<uint64_t>(high - low) + 1;
  return low + static_cast<int64_t>(next() % range);  // the bias is below 2^-40 for our ranges
}

}  // namespace streamo::core
