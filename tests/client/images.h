#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "data/batches.h"
#include "data/synthetic.h"

namespace fedstill {

constexpr std::int64_t kClasses = 4;

inline const Dataset& some_images() {
  static const Dataset dataset = make_synthetic({1, 16, 16}, kClasses, 1600, 1, 5).train;
  return dataset;
}

inline Normalisation some_normalisation() { return {{0.5F}, {0.25F}}; }

// The images of the given classes in the first (0) or second (1) half of the set: two disjoint
// samples of one distribution.
inline Shard shard_of(const std::vector<std::int32_t>& classes, std::int64_t half,
                      std::int64_t at_most = 10'000) {
  const Dataset& dataset = some_images();
  std::vector<std::int64_t> indices;
  const std::int64_t size = dataset.images->count() / 2;
  for (std::int64_t i = half * size; i < (half + 1) * size; ++i) {
    const std::int32_t label = dataset.labels[static_cast<std::size_t>(i)];
    const bool wanted = std::find(classes.begin(), classes.end(), label) != classes.end();
    if (wanted && static_cast<std::int64_t>(indices.size()) < at_most) indices.push_back(i);
  }
  return make_shard(dataset, std::move(indices));
}

}  // namespace fedstill
