#pragma once

#include <cstddef>
#include <span>

#include "collective/collective.h"

namespace fedstill {

// output[i] = inputs[0][i] ∘ inputs[1][i] ∘ …, from left to right; bfloat16 is reduced in float32
// and rounded once, to nearest even. int64 and uint8 sums wrap. The first NaN met wins max and min.
// `output` may be one of the inputs but may not overlap them otherwise. Requires: one input or
// more.
void reduce(std::span<const void* const> inputs, void* output, std::size_t count, ElementType type,
            Reduction reduction);

}  // namespace fedstill
