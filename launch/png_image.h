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
// Throws DataError if it is not a PNG or larger than 4096 × 4096, std::system_error if unreadable.
Images read_png(const std::filesystem::path& path, std::int64_t channels);

std::string base64(std::span<const std::byte> bytes);

}  // namespace fedstill
