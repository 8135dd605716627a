#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace fedstill {

// What a container or a service manager allows this process. Empty: no limit, or none that can be
// read.
struct CgroupLimits {
  std::optional<double> cpus;  // quota / period
  std::optional<std::int64_t> memory_bytes;
};

// The tightest limits of this process's control group and the groups around it, versions 1 and 2,
// from proc/self/cgroup and sys/fs/cgroup under root. Never throws for what these files say.
CgroupLimits read_cgroup_limits(const std::filesystem::path& root = "/");

}  // namespace fedstill
