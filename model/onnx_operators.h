#pragma once

#include <string>
#include <vector>

#include "model/graph.h"
#include "model/onnx_proto.h"

namespace fedstill {

// Appends what computes `node` in float: from the ONNX values `inputs` (the node's inputs, then its
// parameters) to the value `output`. Nothing for Input and Dropout: their value is there already.
// GlobalAveragePool keeps two dimensions of size one in ONNX; the caller appends the Flatten.
void append_operator(OnnxWriter& onnx, const Node& node, const std::vector<std::string>& inputs,
                     const std::string& output);

OnnxType onnx_type(DType dtype);

}  // namespace fedstill
