// What this process may use of the machine: less than there is, in a container, a Slurm job, or
// under taskset.
#pragma once

#include <cstdint>
#include <filesystem>

namespace streamo::core {

// Threads worth starting: the cores it may run on, and no more than its CPU quota (cgroup v1 or v2)
// is worth; at least one.
int num_cores();

// Bytes of memory it may use: what the machine has, or its cgroups' limit.
int64_t memory_limit();

// Of the cgroups named in `membership` (/proc/self/cgroup), mounted at `mount` (/sys/fs/cgroup):
// the least of a process's own and all above. Without a limit: infinity, INT64_MAX.
double cpu_quota(const std::filesystem::path& membership, const std::filesystem::path& mount);
int64_t cgroup_memory_limit(const std::filesystem::path& membership,
                            const std::filesystem::path& mount);

// Open files: as many as the hard limit allows, since the soft one is made for programs that use
// select().
void raise_descriptor_limit();

}  // namespace streamo::core
