// Configures LibTorch's thread pools before anything is computed.
#include "app/threads.h"

#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "core/log.h"
#include "core/process/machine.h"
#include "core/process/parallel.h"

namespace streamo::app {
namespace {

// Or tells what one would have.
bool runs_a_model(int argc, char** argv) {
  constexpr std::array<std::string_view, 6> kCommands = {"train",     "eval",  "watch",
                                                         "benchmark", "score", "doctor"};
  return argc > 1 && std::find(kCommands.begin(), kCommands.end(), argv[1]) != kCommands.end();
}

bool is_set(const char* variable) {
  return std::getenv(variable) != nullptr;
}

}  // namespace

void stop_waiting_threads_from_spinning(int argc, char** argv) {
  if (!runs_a_model(argc, argv)) return;
  if (is_set("GOMP_SPINCOUNT") || is_set("OMP_WAIT_POLICY") || is_set("KMP_BLOCKTIME")) return;
  // Spinning threads take the cores from those that decode, and from other processes: with the
  // default the first steps of a run take twice as long. With less than this, waking them costs
  // more than it gives.
  ::setenv("GOMP_SPINCOUNT", "1000", 1);
  std::error_code unknown;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown) ::execv(program.c_str(), argv);  // if that fails, they spin
}

void take_threads(int argc, char** argv) {
  if (!runs_a_model(argc, argv)) return;
  const int set_up = at::get_num_threads();
  const int wanted = is_set("OMP_NUM_THREADS") ? set_up : std::min(set_up, core::num_cores());
  const int allowed =
      1 + static_cast<int>(core::startable_threads(static_cast<size_t>(wanted - 1)));
  if (allowed < wanted) {
    core::log_warning("{} threads compute instead of {}: the system allows no more (ulimit -u)",
                      allowed, wanted);
  }
  if (allowed != set_up) at::set_num_threads(allowed);
  at::parallel_for(0, allowed, 1, [](int64_t, int64_t) {});
}

}  // namespace streamo::app
