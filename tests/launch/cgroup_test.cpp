#include "launch/cgroup.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "launch/machine.h"
#include "tests/launch/temp_folder.h"

namespace fedstill {
namespace {

constexpr double kManyCpus = 1e6;  // no limit on any machine

class Cgroup : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  CgroupLimits limits() const { return read_cgroup_limits(root_.path()); }

  tests::TempFolder root_;
};

TEST_F(Cgroup, WithoutFilesThereIsNoLimit) {
  EXPECT_FALSE(limits().cpus);
  EXPECT_FALSE(limits().memory_bytes);
}

TEST_F(Cgroup, Version2AtTheTopOfAContainer) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  write("sys/fs/cgroup/memory.max", "1073741824\n");
  EXPECT_DOUBLE_EQ(limits().cpus.value_or(0.0), 1.5);
  EXPECT_EQ(limits().memory_bytes.value_or(0), 1 << 30);
}

TEST_F(Cgroup, MaxIsNoLimit) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_FALSE(limits().cpus);
  EXPECT_FALSE(limits().memory_bytes);
}

TEST_F(Cgroup, TheTightestGroupAroundTheProcessHolds) {
  write("proc/self/cgroup", "0::/system.slice/job.service\n");
  write("sys/fs/cgroup/system.slice/cpu.max", "200000 100000\n");
  write("sys/fs/cgroup/system.slice/job.service/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/system.slice/memory.max", "4096\n");
  write("sys/fs/cgroup/system.slice/job.service/memory.max", "8192\n");
  EXPECT_DOUBLE_EQ(limits().cpus.value_or(0.0), 2.0);
  EXPECT_EQ(limits().memory_bytes.value_or(0), 4096);
}

TEST_F(Cgroup, Version1WithTheHostsPathInAContainer) {
  write("proc/self/cgroup", "5:memory:/docker/0a1b\n4:cpu,cpuacct:/docker/0a1b\n1:name=x:/\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
  EXPECT_DOUBLE_EQ(limits().cpus.value_or(0.0), 3.0);
  EXPECT_EQ(limits().memory_bytes.value_or(0), std::int64_t{1} << 31);
}

TEST_F(Cgroup, Version1WithoutLimits) {
  write("proc/self/cgroup", "5:memory:/\n4:cpu,cpuacct:/\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(limits().cpus);
  EXPECT_FALSE(limits().memory_bytes);
}

TEST_F(Cgroup, NonsenseIsNoLimit) {
  write("proc/self/cgroup", "0::/../../etc\nnonsense\n:\n0::\n");
  write("sys/fs/cgroup/cpu.max", "100000\n");
  write("sys/fs/cgroup/memory.max", "-12x\n");
  EXPECT_FALSE(limits().cpus);
  EXPECT_FALSE(limits().memory_bytes);
}

TEST_F(Cgroup, UsableCoresAndMemoryStayWithinTheLimits) {
  const int cores = usable_cores(root_.path());
  const std::int64_t memory = usable_memory_bytes(root_.path());
  EXPECT_GE(cores, 1);
  EXPECT_GT(memory, 1 << 20);
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "1000 100000\n");
  write("sys/fs/cgroup/memory.max", "1048576\n");
  EXPECT_EQ(usable_cores(root_.path()), 1);
  EXPECT_EQ(usable_memory_bytes(root_.path()), 1 << 20);
  write("sys/fs/cgroup/cpu.max", std::to_string(kManyCpus * 1000) + " 1000\n");
  write("sys/fs/cgroup/memory.max", "900000000000000000\n");
  EXPECT_EQ(usable_cores(root_.path()), cores);
  EXPECT_EQ(usable_memory_bytes(root_.path()), memory);
}

}  // namespace
}  // namespace fedstill
