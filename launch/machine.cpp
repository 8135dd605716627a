#include "launch/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "launch/cgroup.h"

namespace fedstill {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

int affine_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails where the machine has more cores than a cpu_set_t holds.
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

int usable_cores(const std::filesystem::path& root) {
  const int cores = affine_cores();
  const auto quota = read_cgroup_limits(root).cpus;
  return quota && *quota < cores ? std::max(1, static_cast<int>(std::ceil(*quota))) : cores;
}

std::int64_t usable_memory_bytes(const std::filesystem::path& root) {
  const std::int64_t all = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGE_SIZE);
  return std::min(all, read_cgroup_limits(root).memory_bytes.value_or(all));
}

nlohmann::json machine_json() {
  utsname system{};
  ::uname(&system);
  return {{"processor", processor_name()},
          {"cores", usable_cores()},
          {"memory_bytes", usable_memory_bytes()},
          {"system", std::string(system.sysname) + " " + system.release + " " + system.machine}};
}

nlohmann::json versions_json() {
  return {{"fedstill", FEDSTILL_VERSION}, {"compiler", __VERSION__}, {"libtorch", TORCH_VERSION}};
}

std::int64_t peak_rss_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

double seconds_since_process_start() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The command name may hold spaces; field 22 (start time) is the 20th behind its parenthesis.
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 0; i < 20; ++i) fields >> field;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const double started =
      std::strtod(field.c_str(), nullptr) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - started;
}

}  // namespace fedstill
