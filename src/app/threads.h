// The threads of LibTorch's arithmetic: as many as this process has cores for and is allowed, and
// none that spins while it waits.
#pragma once

namespace streamo::app {

// At the beginning of main(): may start the program anew in this process, since the OpenMP runtime
// reads its settings before main() is reached. For commands that run a model.
void stop_waiting_threads_from_spinning(int argc, char** argv);

// Likewise for these: takes no more threads than there are cores (affinity, CPU quota) and than the
// system lets this process start, and starts them, since OpenMP ends a process that is refused one.
void take_threads(int argc, char** argv);

}  // namespace streamo::app
