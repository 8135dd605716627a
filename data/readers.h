#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/images.h"

namespace fedstill {

struct TrainTest {
  Dataset train;
  Dataset test;

  std::string hash() const;  // SHA-256 over shapes, class names, labels and pixels of both
};

// Reads images and labels in the IDX format (LeCun), plain or gzip. Throws DataError: missing file,
// wrong magic, truncated, more bytes than the header says, label out of range, counts that differ.
// Limits are checked before anything is allocated.
Dataset read_idx(const std::filesystem::path& images, const std::filesystem::path& labels);

// The four canonical files (train-images-idx3-ubyte …, t10k-…; plain or .gz) of a folder.
TrainTest read_idx_folder(const std::filesystem::path& folder);

// A site's own labelled images: "idx:DIR" with train-images-idx3-ubyte (or idx4 for several
// channels) and train-labels-idx1-ubyte alone, or the training half of any other source.
Dataset read_labelled(std::string_view source);

// CIFAR-10's binary batches (data_batch_1..5.bin, test_batch.bin), in the folder or in its
// cifar-10-batches-bin.
TrainTest read_cifar10_folder(const std::filesystem::path& folder);

// "fashion-mnist" (where the Debian package dataset-fashion-mnist puts it), "mnist:DIR", "idx:DIR",
// "cifar10:DIR", and "synthetic" or "synthetic:CLASSESxCHANNELSxHEIGHTxWIDTH" (data/synthetic.h).
// Throws DataError, with the package or the files to get. Class names are set for the known sets
// and are "0", "1", … otherwise.
TrainTest read_source(std::string_view source);

// Decoders over bytes, for the readers above and for the fuzzers.
Images decode_idx_images(std::span<const std::uint8_t> bytes, std::string_view origin);
std::vector<std::int32_t> decode_idx_labels(std::span<const std::uint8_t> bytes,
                                            std::string_view origin);

struct LabeledImages {
  Images images;
  std::vector<std::int32_t> labels;
};
// Records of one label byte and three planes of 32 × 32.
LabeledImages decode_cifar10(std::span<const std::uint8_t> bytes, std::string_view origin);

bool is_gzip(std::span<const std::uint8_t> bytes);  // begins with its magic

// Inflates gzip (of one or more members), or copies what is none; refuses more than max_bytes of
// output.
std::vector<std::uint8_t> inflate_if_gzip(std::span<const std::uint8_t> bytes,
                                          std::size_t max_bytes, std::string_view origin);

// What decode(bytes, origin) makes of a file, inflated first where it is gzip. A plain one is
// decoded where it lies, so that a large one is in memory once.
template <typename Decode>
auto decode_inflated(const Decode& decode, std::span<const std::byte> file, std::size_t max_bytes,
                     std::string_view origin) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  return is_gzip(bytes) ? decode(inflate_if_gzip(bytes, max_bytes, origin), origin)
                        : decode(bytes, origin);
}

}  // namespace fedstill
