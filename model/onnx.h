#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "model/graph.h"
#include "model/quantized_graph.h"

namespace fedstill {

// ONNX opset 17, IR 8, deterministic bytes, symbolic batch dimension "N". Input "images" float32
// [N, C, H, W] (already normalised); one graph output per Graph::outputs entry.
std::vector<std::byte> encode_onnx(const Graph& graph,
                                   const std::map<std::string, std::string>& metadata = {});

// QDQ form: uint8 activations with one QuantizeLinear per tensor, int8 per-channel weights and
// int32 biases stored as codes behind DequantizeLinear, ReLU where the float graph has it; the last
// Gemm's output stays float (docs: quantization profile "cpu").
std::vector<std::byte> encode_onnx(const QuantizedGraph& graph,
                                   const std::map<std::string, std::string>& metadata = {});

}  // namespace fedstill
