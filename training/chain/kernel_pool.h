#pragma once

// Windows of a max-pool, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

inline void keep(float* best, std::int32_t* winners, const Panel& values, const Places& places,
                 std::int64_t count) {
  if (count >= kPanel) {
    store(best, values);
    *reinterpret_cast<LoosePlaces*>(winners) = places;
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    best[i] = values[i];
    winners[i] = places[i];
  }
}

inline void pool_loop(const PoolRow& row, std::int64_t channels, std::int64_t stride, float* best,
                      std::int32_t* winners) {
  const std::int64_t line = row.positions * row.lanes;
  const Panel zero{};
  for (std::int64_t window = 0; window < row.pooled; ++window) {
    for (std::int64_t first = 0; first < channels; first += kPanel) {
      const float* const corner = row.values + window * row.size * row.lanes + first;
      const auto begin = static_cast<std::int32_t>(row.offset + window * row.size * row.step);
      Panel most = load(corner);
      Places place = Places{} + begin;
      for (std::int64_t y = 0; y < row.size; ++y) {
        for (std::int64_t x = 0; x < row.size; ++x) {
          const Panel values = load(corner + y * line + x * row.lanes);
          const Places here =
              Places{} + static_cast<std::int32_t>(begin + y * row.row + x * row.step);
          const auto greater = values > most;
          most = greater ? values : most;
          place = greater ? here : place;
        }
      }
      if (row.rectify) most = most > zero ? most : zero;
      keep(best + window * stride + first, winners + window * stride + first, most, place,
           channels - first);
    }
  }
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
