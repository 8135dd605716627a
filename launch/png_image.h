#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/images.h"

namespace fedstill {

// PNG bytes of one uint8 image [C, H, W] with one or three channels; others show their first.
std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, const ImageShape& shape);

// One image [C, H, W] of the wanted channels: colour is mixed to gray or gray copied as needed.
// Throws DataError, naming the origin, if it is not a PNG or larger than 4096 × 4096.
Images decode_png(std::span<const std::byte> bytes, std::int64_t channels,
                  const std::string& origin);
// What it has itself: 1 if gray, else 3. Throws DataError as well.
std::int64_t png_channels(std::span<const std::byte> bytes, const std::string& origin);

std::string base64(std::span<const std::byte> bytes);

}  // namespace fedstill
