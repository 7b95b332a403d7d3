// Reads the CPU and memory limits of this process, including those of its cgroups.
#include "core/process/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace streamo::core {
namespace fs = std::filesystem;
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// The folders of the cgroup of `controller`, from the process's own up to the root. In a container
// the path may be the host's, which is not mounted: what is there counts.
std::vector<fs::path> cgroup_folders(std::string_view controller, const fs::path& membership,
                                     const fs::path& mount) {
  std::vector<fs::path> folders;
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // "0::/a/b", or "4:cpu,cpuacct:/a/b" (v1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool is_v2 = names == ",,";
    if (!is_v2 && names.find("," + std::string(controller) + ",") == std::string::npos) continue;
    const fs::path root = is_v2 ? mount : mount / controller;
    for (fs::path path = fs::path(line.substr(second + 1)).relative_path();;
         path = path.parent_path()) {
      folders.push_back(root / path);
      if (path.empty()) break;
    }
  }
  return folders;
}

// The first numbers in a file; fewer where it is missing or says "max".
std::vector<double> numbers_in(const fs::path& file) {
  std::ifstream in(file);
  std::vector<double> numbers;
  for (double number = 0; in >> number;) numbers.push_back(number);
  return numbers;
}

double cgroup_quota(const fs::path& folder) {
  const auto v2 = numbers_in(folder / "cpu.max");  // quota and period in microseconds
  if (v2.size() == 2 && v2[1] > 0) return v2[0] / v2[1];
  const auto quota = numbers_in(folder / "cpu.cfs_quota_us");
  const auto period = numbers_in(folder / "cpu.cfs_period_us");
  if (quota.size() == 1 && period.size() == 1 && quota[0] > 0 && period[0] > 0)
    return quota[0] / period[0];
  return kNoQuota;
}

int64_t cgroup_memory(const fs::path& folder) {
  for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
    const auto limit = numbers_in(folder / name);
    if (limit.size() == 1 && limit[0] < static_cast<double>(kNoLimit))
      return static_cast<int64_t>(limit[0]);
  }
  return kNoLimit;
}

constexpr const char* kMembership = "/proc/self/cgroup";
constexpr const char* kMount = "/sys/fs/cgroup";

int allowed_cores() {
  // Larger than cpu_set_t where the machine has more than its 1024 cores.
  std::vector<cpu_set_t> set(16);
  const size_t bytes = set.size() * sizeof(cpu_set_t);
  if (::sched_getaffinity(0, bytes, set.data()) == 0) return CPU_COUNT_S(bytes, set.data());
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

double cpu_quota(const fs::path& membership, const fs::path& mount) {
  double least = kNoQuota;
  for (const fs::path& folder : cgroup_folders("cpu", membership, mount))
    least = std::min(least, cgroup_quota(folder));
  return least;
}

int64_t cgroup_memory_limit(const fs::path& membership, const fs::path& mount) {
  int64_t least = kNoLimit;
  for (const fs::path& folder : cgroup_folders("memory", membership, mount))
    least = std::min(least, cgroup_memory(folder));
  return least;
}

int num_cores() {
  // Rounded: with half a CPU more than it has, all threads stand still for a third of the time.
  static const int cores = [] {
    const double quota = std::round(cpu_quota(kMembership, kMount));
    return std::max(1, static_cast<int>(std::min<double>(allowed_cores(), quota)));
  }();
  return cores;
}

int64_t memory_limit() {
  struct sysinfo machine = {};
  ::sysinfo(&machine);
  const auto all = static_cast<int64_t>(machine.totalram) * machine.mem_unit;
  return std::min(all, cgroup_memory_limit(kMembership, kMount));
}

void raise_descriptor_limit() {
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  // No further than programs are used to: some go through all descriptors there can be.
  constexpr rlim_t kEnough = 65536;
  files.rlim_cur = std::max(files.rlim_cur, std::min(files.rlim_max, kEnough));
  ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace streamo::core
