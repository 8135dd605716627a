#include "launch/ranks/neighbours.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <vector>

namespace fedstill {
namespace {

std::int64_t hash_of(std::string_view text) {
  return static_cast<std::int64_t>(std::hash<std::string_view>()(text));
}

std::int64_t this_machine() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return hash_of(host.data());
}

}  // namespace

std::int64_t ranks_on_device(Collective& all, at::Device device, const std::string& uuid) {
  // Numbers say little: a scheduler may show each rank of a machine another GPU under the same one.
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string number = std::to_string(device.index()) + " of " + (visible ? visible : "all");
  const std::array mine{this_machine(), hash_of(uuid.empty() ? number : uuid)};
  std::vector<std::int64_t> everybody(mine.size() * static_cast<std::size_t>(all.size()));
  all.all_gather(elements(mine), elements(everybody)).wait();
  if (device.is_cpu()) return 1;
  std::int64_t sharing = 0;
  for (auto rank = everybody.begin(); rank != everybody.end(); rank += std::ssize(mine)) {
    if (std::equal(mine.begin(), mine.end(), rank)) ++sharing;
  }
  return sharing;
}

Neighbours find_neighbours(Collective& all) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  ::sched_getaffinity(0, sizeof(cores), &cores);
  const std::array mine{this_machine(),
                        hash_of({reinterpret_cast<const char*>(&cores), sizeof(cores)}),
                        std::int64_t{::getpid()}};
  std::vector<std::int64_t> everybody(mine.size() * static_cast<std::size_t>(all.size()));
  all.all_gather(elements(mine), elements(everybody)).wait();
  Neighbours found{.place = 0, .on_my_cores = 0, .first_is_here = everybody[0] == mine[0]};
  const std::size_t me = static_cast<std::size_t>(all.rank()) * mine.size();
  for (std::size_t i = 0; i < everybody.size(); i += mine.size()) {
    if (everybody[i] != mine[0]) continue;
    if (i < me) found.before.push_back(static_cast<pid_t>(everybody[i + 2]));
    if (everybody[i + 1] == mine[1]) ++found.on_my_cores;
  }
  found.place = static_cast<int>(found.before.size());
  return found;
}

}  // namespace fedstill
