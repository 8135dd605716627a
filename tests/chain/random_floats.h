#pragma once

#include <cstdint>
#include <vector>

#include "model/random.h"

namespace fedstill::chain {

inline std::vector<float> random_floats(std::int64_t count, std::uint64_t key) {
  std::vector<float> v(static_cast<std::size_t>(count));
  fill_normal(v, key, 1.0F);
  return v;
}

}  // namespace fedstill::chain
