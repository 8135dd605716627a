#include "model/model_container.h"

#include <utility>

#include "model/decode_error.h"
#include "model/sha256.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

constexpr const char* kHashKey = "fedstill.data_sha256";

}  // namespace

std::vector<std::byte> encode_container(std::map<std::string, std::string> metadata,
                                        const std::map<std::string, Tensor>& tensors) {
  metadata[kHashKey] = safetensors_data_hash(tensors);
  return encode_safetensors(metadata, tensors);
}

Safetensors decode_container(std::span<const std::byte> bytes, const ModelFileLimits& limits) {
  if (bytes.size() > limits.max_file_bytes) {
    throw DecodeError("[model file] " + std::to_string(bytes.size()) + " bytes, limit " +
                      std::to_string(limits.max_file_bytes));
  }
  Safetensors file = decode_safetensors(bytes, {.max_header_bytes = limits.max_header_bytes,
                                                .max_tensors = limits.max_tensors,
                                                .max_elements = limits.graph.max_elements});
  const auto expected = file.metadata.extract(kHashKey);
  if (expected.empty()) return file;
  const std::string found = sha256_hex(safetensors_data(bytes));
  if (found != expected.mapped()) {
    throw DecodeError("[model file] the tensors are damaged: found data with sha256 " + found +
                      ", expected " + shown(expected.mapped()));
  }
  return file;
}

}  // namespace fedstill
