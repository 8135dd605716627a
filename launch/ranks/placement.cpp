#include "launch/ranks/placement.h"

#include <algorithm>
#include <numeric>

namespace fedstill {

std::vector<int> place(std::span<const double> costs, int ranks) {
  std::vector<std::size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater(), [&](std::size_t i) { return costs[i]; });
  std::vector<double> load(static_cast<std::size_t>(ranks));
  std::vector<int> out(costs.size());
  for (const std::size_t i : order) {
    const auto least = std::ranges::min_element(load);
    *least += costs[i];
    out[i] = static_cast<int>(least - load.begin());
  }
  return out;
}

}  // namespace fedstill
