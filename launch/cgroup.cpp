#include "launch/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fedstill {
namespace {

namespace fs = std::filesystem;

// The first words of a file; no limit is written in more than two.
std::vector<std::string> words_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> words;
  for (std::string word; words.size() < 2 && file >> word;) words.push_back(word);
  return words;
}

// Empty for "max", for v1's -1 and for anything else that is not a positive number.
std::optional<double> positive(const std::string& word) {
  std::istringstream in(word);
  double value = 0.0;
  if (!(in >> value) || !in.eof() || value <= 0.0) return std::nullopt;
  return value;
}

template <typename T>
void tighten(std::optional<T>& limit, T found) {
  limit = limit ? std::min(*limit, found) : found;
}

void tighten_cpus(CgroupLimits& limits, const std::string& quota, const std::string& period) {
  const auto allowed = positive(quota), of = positive(period);
  if (allowed && of) tighten(limits.cpus, *allowed / *of);
}

// Version 1 writes "no limit" as a number near 2^63.
void tighten_memory(CgroupLimits& limits, const fs::path& file) {
  constexpr double kUnlimited = 1e18;
  const auto words = words_of(file);
  const auto bytes = words.empty() ? std::nullopt : positive(words[0]);
  if (bytes && *bytes < kUnlimited) {
    tighten(limits.memory_bytes, static_cast<std::int64_t>(*bytes));
  }
}

void read_group(CgroupLimits& limits, const fs::path& group) {
  const auto v2 = words_of(group / "cpu.max");
  if (v2.size() == 2) tighten_cpus(limits, v2[0], v2[1]);
  const auto quota = words_of(group / "cpu.cfs_quota_us");
  const auto period = words_of(group / "cpu.cfs_period_us");
  if (!quota.empty() && !period.empty()) tighten_cpus(limits, quota[0], period[0]);
  tighten_memory(limits, group / "memory.max");
  tighten_memory(limits, group / "memory.limit_in_bytes");
}

// From the process's group to the top: each holds for everything below it. Inside a container the
// path may be the host's and lead nowhere; then the top is the container's own group.
void read_groups(CgroupLimits& limits, const fs::path& top, const std::string& path) {
  const fs::path below = fs::path(path).relative_path();
  fs::path group = top;
  read_group(limits, group);
  for (const auto& part : below) {
    if (part == "..") return;
    group /= part;
    read_group(limits, group);
  }
}

}  // namespace

CgroupLimits read_cgroup_limits(const fs::path& root) {
  CgroupLimits limits;
  const fs::path top = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  // NUMBER:CONTROLLERS:PATH; version 2 names no controllers and has no folder for them.
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    read_groups(limits, top / controllers, line.substr(second + 1));
  }
  return limits;
}

}  // namespace fedstill
