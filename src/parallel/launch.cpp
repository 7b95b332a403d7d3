// Reads the variables of four launchers, and decides which of them counts when several are set.
#include "parallel/launch.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

constexpr int kMaxPort = 65535, kMostRanks = 1 << 20;
// Ports for runs of Slurm that name none: below the range that systems give to outgoing
// connections.
constexpr int kFirstSlurmPort = 15000, kSlurmPorts = 16000;

[[noreturn]] void refuse(const std::string& what, const std::string& variable,
                         const std::string& hint) {
  throw core::Error(core::ErrorKind::kUsage, what, variable, hint);
}

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  bool has(const std::string& name) const { return environment_(name).has_value(); }

  std::string text(const std::string& name, const std::string& needed_by) const {
    const auto value = environment_(name);
    if (!value || value->empty()) {
      refuse("a variable of the launch is missing", name,
             fmt::format("{} is set, so this must be too; unset it to start one process alone",
                         needed_by));
    }
    return *value;
  }

  int number(const std::string& name, const std::string& needed_by, int least, int most) const {
    const std::string value = text(name, needed_by);
    int number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < least ||
        number > most) {
      refuse(fmt::format("\"{}\" is no number from {} to {}", value, least, most), name,
             "start the run with torchrun, srun or mpirun, which set it");
    }
    return number;
  }

 private:
  const Environment& environment_;
};

struct Names {
  const char *launcher, *rank, *world_size, *local_rank, *local_world_size;
};
constexpr Names kTorchrun = {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kSlurm = {"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
                          "SLURM_STEP_TASKS_PER_NODE"};
constexpr Names kOpenMpi = {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                            "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Names kMpich = {"MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

Launch read_ranks(const Reader& reader, const Names& names) {
  Launch launch;
  launch.launcher = names.launcher;
  const char* needed_by = reader.has(names.world_size) ? names.world_size : names.rank;
  launch.world_size = reader.number(names.world_size, needed_by, 1, kMostRanks);
  launch.rank = reader.number(names.rank, needed_by, 0, kMostRanks);
  if (launch.rank >= launch.world_size) {
    refuse(fmt::format("{}={} is not below {}={}", names.rank, launch.rank, names.world_size,
                       launch.world_size),
           fmt::format("{}, {}", names.rank, names.world_size),
           "they come from different launches");
  }
  if (launch.world_size == 1) return launch;
  launch.local_rank = reader.number(names.local_rank, needed_by, 0, kMostRanks);
  // Slurm's says "2(x3)" for three machines of two: no number, and nothing here depends on it.
  launch.local_world_size = names.launcher != kSlurm.launcher && reader.has(names.local_world_size)
                                ? reader.number(names.local_world_size, needed_by, 1, kMostRanks)
                                : launch.local_rank + 1;
  launch.one_machine =
      names.launcher == kSlurm.launcher
          ? reader.has("SLURM_STEP_NUM_NODES") &&
                reader.text("SLURM_STEP_NUM_NODES", needed_by) == "1"
          : reader.has(names.local_world_size) && launch.local_world_size == launch.world_size;
  if (launch.local_rank >= launch.local_world_size || launch.local_world_size > launch.world_size) {
    refuse(fmt::format("{}={}, {}={} and {}={} contradict each other", names.local_rank,
                       launch.local_rank, names.local_world_size, launch.local_world_size,
                       names.world_size, launch.world_size),
           names.local_rank, "they come from different launches");
  }
  return launch;
}

void read_master(const Reader& reader, const Names& names, Launch& launch) {
  const bool slurm = names.launcher == kSlurm.launcher;
  if (slurm && !reader.has("MASTER_ADDR")) {
    launch.master_address = reader.text("SLURM_LAUNCH_NODE_IPADDR", names.world_size);
  } else {
    launch.master_address = reader.text("MASTER_ADDR", names.world_size);
  }
  if (slurm && !reader.has("MASTER_PORT")) {
    const int job = reader.number("SLURM_JOB_ID", names.world_size, 0, INT32_MAX);
    launch.master_port = kFirstSlurmPort + job % kSlurmPorts;
  } else {
    launch.master_port = reader.number("MASTER_PORT", names.world_size, 1, kMaxPort);
  }
}

// The one that started this process: null where nobody did. Open MPI starts its daemons with srun,
// so its own variables go before Slurm's; and a step of one task may be a shell (srun --pty bash)
// in which mpirun was called. With srun --mpi=pmi2 both Slurm's and MPICH's are set.
const Names* find_launcher(const Reader& reader) {
  if (reader.has(kTorchrun.rank) || reader.has(kTorchrun.world_size)) return &kTorchrun;
  if (reader.has(kOpenMpi.world_size)) return &kOpenMpi;
  if (!reader.has(kMpich.world_size)) return reader.has(kSlurm.world_size) ? &kSlurm : nullptr;
  if (!reader.has(kSlurm.world_size)) return &kMpich;
  const int by_slurm = reader.number(kSlurm.world_size, kSlurm.world_size, 1, kMostRanks);
  const int by_mpich = reader.number(kMpich.world_size, kMpich.world_size, 1, kMostRanks);
  if (by_slurm == 1) return &kMpich;
  if (by_mpich == 1 || by_mpich == by_slurm) return &kSlurm;
  refuse(fmt::format("{}={} and {}={} contradict each other", kSlurm.world_size, by_slurm,
                     kMpich.world_size, by_mpich),
         fmt::format("{}, {}", kSlurm.world_size, kMpich.world_size),
         "unset those of the launcher that did not start this run");
}

}  // namespace

Launch read_launch(const Environment& environment) {
  const Reader reader(environment);
  const Names* names = find_launcher(reader);
  if (names == nullptr) return {};
  Launch launch = read_ranks(reader, *names);
  if (launch.world_size == 1) return launch;
  read_master(reader, *names, launch);
  launch.secret = environment("STREAMO_RUN_SECRET").value_or("");
  if (names == &kTorchrun) {
    launch.agent_serves_store = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
    if (reader.has("TORCHELASTIC_RESTART_COUNT")) {
      launch.restart = reader.number("TORCHELASTIC_RESTART_COUNT", names->world_size, 0, INT32_MAX);
    }
  }
  return launch;
}

Launch read_launch() {
  return read_launch([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

}  // namespace streamo::parallel
