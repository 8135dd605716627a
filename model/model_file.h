#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/graph.h"
#include "model/quantized_graph.h"

namespace fedstill {

class ByteSource;

// A model file is a safetensors file whose __metadata__ holds the graph as JSON (docs/formats.md).
// Equal graphs give equal bytes, so the SHA-256 of the bytes names a model.
struct ModelFileLimits {
  std::size_t max_header_bytes = 1 << 20;
  std::size_t max_file_bytes = std::size_t{4} << 30;
  std::size_t max_tensors = 16384;
  GraphLimits graph{};
};

std::vector<std::byte> encode_model(const Graph& graph);
std::vector<std::byte> encode_model(const QuantizedGraph& graph);

// Every check of a hostile file: header length, JSON depth and duplicate keys, contiguous sorted
// offsets, shape × size == range (overflow-checked), the hash of the data where the file names one,
// then validate() and infer_shapes(). Throws DecodeError, and what the source throws.
// Of a source only the tensors come into memory.
Graph decode_model(const ByteSource& source, const ModelFileLimits& limits = {});
Graph decode_model(std::span<const std::byte> bytes, const ModelFileLimits& limits = {});
QuantizedGraph decode_quantized_model(std::span<const std::byte> bytes,
                                      const ModelFileLimits& limits = {});

void write_model(const std::filesystem::path& path, const Graph& graph);  // atomically
Graph read_model(const std::filesystem::path& path, const ModelFileLimits& limits = {});

std::string model_hash(const Graph& graph);  // sha256_hex(encode_model(graph))

}  // namespace fedstill
