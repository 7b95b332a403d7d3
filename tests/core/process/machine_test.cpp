// Truth: files as the kernel writes them, of both versions of cgroups (cgroups(7)).
#include "core/process/machine.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include "core/io/scratch_folder.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;

class Cgroups : public testing::Test {
 protected:
  void write(const std::map<std::string, std::string>& files) const {
    for (const auto& [name, text] : files) {
      fs::create_directories((folder_.path() / name).parent_path());
      std::ofstream(folder_.path() / name) << text;
    }
  }
  double cpus() const { return cpu_quota(folder_.path() / "self", folder_.path()); }
  int64_t memory() const { return cgroup_memory_limit(folder_.path() / "self", folder_.path()); }

  const ScratchFolder folder_;
};

TEST_F(Cgroups, Version2TakesTheLeastOfAllAbove) {
  write({{"self", "0::/job/step\n"},
         {"job/step/cpu.max", "max 100000\n"},
         {"job/step/memory.max", "max\n"},
         {"job/cpu.max", "50000 100000\n"},
         {"job/memory.max", "419430400\n"},
         {"memory.max", "999999999999\n"}});
  EXPECT_DOUBLE_EQ(cpus(), 0.5);
  EXPECT_EQ(memory(), 419430400);
}

TEST_F(Cgroups, Version1HasAFolderForEachController) {
  write({{"self", "12:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n3:cpuset:/b\n"},
         {"cpu/docker/a/cpu.cfs_quota_us", "150000\n"},
         {"cpu/docker/a/cpu.cfs_period_us", "100000\n"},
         {"cpu/cpu.cfs_quota_us", "-1\n"},
         {"cpu/cpu.cfs_period_us", "100000\n"},
         {"memory/docker/a/memory.limit_in_bytes", "1073741824\n"},
         {"memory/memory.limit_in_bytes", "9223372036854771712\n"}});
  EXPECT_DOUBLE_EQ(cpus(), 1.5);
  EXPECT_EQ(memory(), 1073741824);
}

TEST_F(Cgroups, ThePathMayBeTheHosts) {
  write({{"self", "0::/kubepods/pod7/abc\n"}, {"cpu.max", "200000 100000\n"}});
  EXPECT_DOUBLE_EQ(cpus(), 2);
}

TEST_F(Cgroups, WithoutThemThereIsNoLimit) {
  EXPECT_TRUE(std::isinf(cpus()));
  EXPECT_EQ(memory(), std::numeric_limits<int64_t>::max());
  write({{"self", "0::/\nnot a line\n"}, {"cpu.max", "max 100000\n"}, {"memory.max", "max\n"}});
  EXPECT_TRUE(std::isinf(cpus()));
}

TEST(Machine, CoresAreThoseItMayRunOn) {
  cpu_set_t allowed = {};
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_GE(num_cores(), 1);
  EXPECT_LE(num_cores(), CPU_COUNT(&allowed));
  EXPECT_GT(memory_limit(), 0);
}

}  // namespace
}  // namespace streamo::core
