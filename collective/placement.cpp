#include "collective/placement.h"

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

std::vector<Piece> cut(std::span<const double> costs, std::int64_t units, std::size_t hands) {
  const double total =
      std::accumulate(costs.begin(), costs.end(), 0.0) * static_cast<double>(units);
  const double share = total > 0.0 ? total / static_cast<double>(hands) : 1.0;
  std::vector<Piece> pieces;
  double before = 0.0;
  for (std::size_t item = 0; item < costs.size(); ++item) {
    for (std::int64_t unit = 0; unit < units; ++unit) {
      const double middle = before + costs[item] / 2.0;
      const std::size_t hand = std::min(hands - 1, static_cast<std::size_t>(middle / share));
      if (unit == 0 || pieces.back().hand != hand) pieces.push_back({item, unit, unit, hand});
      pieces.back().end = unit + 1;
      before += costs[item];
    }
  }
  return pieces;
}

}  // namespace fedstill
