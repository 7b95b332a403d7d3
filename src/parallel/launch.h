// Which process of a run this is: what torchrun, srun or mpirun say in the environment.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace streamo::parallel {

struct Launch {
  int rank = 0, world_size = 1;              // of all processes of the run
  int local_rank = 0, local_world_size = 1;  // of those on this machine
  std::string master_address = {};           // where rank 0 is
  int master_port = 0;
  std::string launcher =
      "alone";  // "torchrun", "Slurm", "Open MPI", "MPICH": who set the variables
  bool agent_serves_store = false;  // torchrun's agent listens at the master's port, not rank 0
  int restart = 0;                  // how often the launcher has started the run again
  bool one_machine = false;         // all processes are on this machine, as the launcher says
  std::string secret = {};          // STREAMO_RUN_SECRET: what only processes of this run know
};

// The value of a variable; nullopt where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Variables of the first of these that are set count: torchrun (RANK, WORLD_SIZE, LOCAL_RANK,
// MASTER_ADDR, MASTER_PORT), Open MPI (OMPI_COMM_WORLD_SIZE ...), Slurm's srun
// (SLURM_STEP_NUM_TASKS ...), MPICH (PMI_SIZE ...; before a step of one task, which may be a
// shell); the last three take the master from MASTER_ADDR and MASTER_PORT, Slurm also from its own
// variables. None set: one process alone.
// Throws core::Error{kUsage} naming the variable that is missing, no number, or contradicts
// another.
Launch read_launch(const Environment& environment);
Launch read_launch();  // of this process

}  // namespace streamo::parallel
