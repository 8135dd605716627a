#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/random.h"

namespace fedstill::tests {

inline void fill_uniform(std::span<float> out, std::uint64_t key, float low, float high) {
  const double width = double{high} - double{low};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(low + width * random_uniform(key, i));
  }
}

}  // namespace fedstill::tests
