#include "model/model_container.h"

#include <utility>

#include "model/decode_error.h"
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

Safetensors decode_container(const ByteSource& source, const ModelFileLimits& limits) {
  if (source.size() > limits.max_file_bytes) {
    throw DecodeError("[model file] " + std::to_string(source.size()) + " bytes, limit " +
                      std::to_string(limits.max_file_bytes));
  }
  Safetensors file = decode_safetensors(source, {.max_header_bytes = limits.max_header_bytes,
                                                 .max_tensors = limits.max_tensors,
                                                 .max_elements = limits.graph.max_elements});
  const auto expected = file.metadata.extract(kHashKey);
  if (expected.empty()) return file;
  const std::string found = safetensors_data_hash(source);
  if (found != expected.mapped()) {
    throw DecodeError("[model file] the tensors are damaged: found data with sha256 " + found +
                      ", expected " + shown(expected.mapped()));
  }
  return file;
}

}  // namespace fedstill
