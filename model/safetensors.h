#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/byte_source.h"
#include "model/tensor.h"

namespace fedstill {

// The safetensors container: u64 little-endian header length, a JSON header, then the tensors'
// bytes without gaps. Readable by every safetensors library.
struct Safetensors {
  std::map<std::string, std::string> metadata;  // "__metadata__" of the header
  std::map<std::string, Tensor> tensors;
};

struct SafetensorsLimits {
  std::size_t max_header_bytes = 1 << 20;
  std::size_t max_tensors = 16384;
  std::int64_t max_elements = std::int64_t{1} << 31;  // of one tensor
};

// Equal content gives equal bytes: wide types first, then by name; the header is padded with spaces
// so that the data starts at a multiple of 64. Throws std::invalid_argument for what a strict
// reader would refuse: a reserved or non-UTF-8 name, an empty dimension, a header over the default
// limit.
std::vector<std::byte> encode_safetensors(const std::map<std::string, std::string>& metadata,
                                          const std::map<std::string, Tensor>& tensors);

// Throws DecodeError unless every byte of the file is accounted for exactly once. Of a source only
// the tensors come into memory.
Safetensors decode_safetensors(const ByteSource& source, const SafetensorsLimits& limits = {});
Safetensors decode_safetensors(std::span<const std::byte> bytes,
                               const SafetensorsLimits& limits = {});

// SHA-256 of the data section that encode_safetensors() writes for these tensors.
std::string safetensors_data_hash(const std::map<std::string, Tensor>& tensors);

// Where the data section of a file begins, and its SHA-256. Requires: decode_safetensors() has read
// it.
std::uint64_t safetensors_data_offset(const ByteSource& source);
std::string safetensors_data_hash(const ByteSource& source);

}  // namespace fedstill
