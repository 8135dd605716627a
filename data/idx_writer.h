#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/images.h"

namespace fedstill {

// What decode_idx_images() and decode_idx_labels() read. Images of one channel have three
// dimensions as LeCun's files, others four: N, C, H, W. Throws std::invalid_argument for a label
// that no byte holds, or for an empty view.
std::vector<std::uint8_t> encode_idx_images(const ImageView& images);
std::vector<std::uint8_t> encode_idx_labels(std::span<const std::int32_t> labels);

// A site's folder that read_labelled("idx:FOLDER") reads: train-images-idx3-ubyte (or idx4) and
// train-labels-idx1-ubyte. Throws std::system_error.
void write_idx_shard(const std::filesystem::path& folder, const Shard& shard);

}  // namespace fedstill
