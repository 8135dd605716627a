#pragma once

#include <cstdint>
#include <span>

#include "data/batches.h"

namespace fedstill {

// Rows and columns [top, bottom) × [left, right) of the finished image; empty if top == bottom.
struct Rectangle {
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
};

// What happens to one image: output pixel (y, x) is input pixel (y + down, x + right), black
// outside, mirrored if flipped, blank inside `erased`.
struct Change {
  std::int64_t down = 0, right = 0;
  bool flip = false;
  Rectangle erased;
};
Change draw_change(const Augmentation& augmentation, const ImageShape& shape, std::uint64_t key);

// Shifts and flips all planes from `in` to `out`. Requires: both hold one image of this shape.
void move_pixels(const Change& change, const ImageShape& shape, std::span<const std::uint8_t> in,
                 std::span<std::uint8_t> out);

}  // namespace fedstill
