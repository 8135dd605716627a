#include "averaging/sampling.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "model/random.h"

namespace fedstill {

// Floyd's algorithm (Bentley & Floyd 1987): work and memory of the sample, not of all clients.
std::vector<std::int64_t> sample_clients(std::int64_t clients, std::int64_t count,
                                         std::uint64_t key) {
  if (count < 1 || count > clients) {
    throw std::invalid_argument("[averaging] found " + std::to_string(count) +
                                " clients a round, expected 1 to " + std::to_string(clients));
  }
  std::unordered_set<std::int64_t> chosen;
  chosen.reserve(static_cast<std::size_t>(count));
  for (std::int64_t last = clients - count; last < clients; ++last) {
    const auto drawn = static_cast<std::int64_t>(
        random_below(key, static_cast<std::uint64_t>(last), static_cast<std::uint64_t>(last) + 1));
    if (!chosen.insert(drawn).second) chosen.insert(last);
  }
  std::vector<std::int64_t> sample(chosen.begin(), chosen.end());
  std::ranges::sort(sample);
  return sample;
}

}  // namespace fedstill
