// Several processes of one training run.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "support/free_port.h"
#include "support/run_command.h"

namespace streamo::test {

// What is put before a rank's command or behind it, beside the launch variables.
struct RankArguments {
  std::string environment, arguments;
};

// `streamo train ARGUMENTS` as ranks 0 .. size - 1; their results in that order.
inline std::vector<CommandResult> run_ranks(
    int size, const std::string& arguments,
    const std::function<RankArguments(int rank)>& of_rank = [](int) { return RankArguments(); }) {
  const int port = free_port();
  std::vector<CommandResult> results(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    const std::string launch =
        size == 1 ? ""
                  : fmt::format(
                        "RANK={0} WORLD_SIZE={1} LOCAL_RANK={0} LOCAL_WORLD_SIZE={1} "
                        "MASTER_ADDR=127.0.0.1 MASTER_PORT={2}",
                        rank, size, port);
    const RankArguments own = of_rank(rank);
    threads.emplace_back(
        [&, rank,
         command =
             fmt::format("exec env {} OMP_NUM_THREADS=1 {} {} train {} {}", launch, own.environment,
                         shell_quote(STREAMO_BINARY), arguments, own.arguments)] {
          results[static_cast<size_t>(rank)] = run_command(command);
        });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

}  // namespace streamo::test
