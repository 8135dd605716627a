#pragma once

#include "launch/inspect.h"
#include "model/onnx_summary.h"

namespace fedstill {

// Inputs, outputs, how many nodes of each operator, and one row per initializer.
Inspection inspect_onnx(const OnnxSummary& summary);

}  // namespace fedstill
