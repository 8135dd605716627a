#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// A graph input, graph output or initializer of an ONNX file.
struct OnnxTensorInfo {
  std::string name;
  std::string type;                // "float32", "int8", …
  std::vector<std::string> shape;  // sizes, or the name of a size that is open: "N"
  std::int64_t bytes = 0;          // initializers only

  bool operator==(const OnnxTensorInfo&) const = default;
};

// What is in an ONNX file, without its weights.
struct OnnxSummary {
  std::int64_t ir_version = 0, opset = 0;
  std::string producer, graph;
  std::vector<OnnxTensorInfo> inputs, outputs, initializers;
  std::map<std::string, std::int64_t> operators;  // how many nodes there are of each
  std::map<std::string, std::string> metadata;

  bool operator==(const OnnxSummary&) const = default;
};

// Reads what encode_onnx() writes, and only that: fields and element types that it does not use are
// refused, and so are initializers whose bytes do not fit their shape. Throws DecodeError.
OnnxSummary decode_onnx_summary(std::span<const std::byte> bytes);

}  // namespace fedstill
