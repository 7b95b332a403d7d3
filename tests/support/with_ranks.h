// The ranks of a run as threads of the test.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "parallel/ranks.h"
#include "support/free_port.h"

namespace streamo::test {

inline void with_ranks(int size,
                       const std::function<void(const std::shared_ptr<parallel::Ranks>&)>& work) {
  // c10d's record of collectives is one a process, and takes entries of several groups at once
  // badly.
  ::setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);
  const int port = free_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([=] {
      parallel::Launch launch{.rank = rank, .world_size = size};
      launch.master_address = "127.0.0.1";
      launch.master_port = port;
      work(std::make_shared<parallel::Ranks>(launch));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace streamo::test
