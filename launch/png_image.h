#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
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
Images read_png(const std::filesystem::path& path, std::int64_t channels);  // or std::system_error

std::string base64(std::span<const std::byte> bytes);

}  // namespace fedstill
