// The beat as text in the store, and the times without a beat or without progress.
#include "parallel/beat.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace streamo::parallel {
namespace {

constexpr std::chrono::milliseconds kLongestLook{1000};

}  // namespace

std::string Heartbeat::text() const {
  return fmt::format("{} {} {} {} {:d} {:.1f} {}", number, collectives, progress, pause.count(),
                     stop, seconds, activity);
}

Heartbeat Heartbeat::parse(const std::string& text) {
  std::istringstream in(text);
  Heartbeat beat;
  int64_t pause = 0;
  in >> beat.number >> beat.collectives >> beat.progress >> pause >> beat.stop >> beat.seconds;
  beat.pause = std::chrono::milliseconds(pause);
  std::getline(in >> std::ws, beat.activity);
  return beat;
}

std::string Heartbeat::doing() const {
  return seconds < 1 ? activity : fmt::format("{} for {:.0f} s", activity, seconds);
}

void Pulse::hear(const Heartbeat& beat, std::chrono::milliseconds passed) {
  passed = std::min(passed, kLongestLook);
  const bool got_on = beat.progress != beat_.progress || beat.collectives != beat_.collectives;
  silent_ = beat.number != beat_.number ? passed.zero() : silent_ + passed;
  still_ = got_on ? passed.zero() : still_ + passed;
  beat_ = beat;
}

std::chrono::milliseconds Pulse::limit(std::chrono::milliseconds patience) const {
  return beat_.pause.count() > 0 ? beat_.pause : patience;
}

}  // namespace streamo::parallel
