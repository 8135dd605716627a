#pragma once

#include "model/graph.h"

namespace fedstill {

// Folds every BatchNorm whose only producer is a Conv2d or Linear (which nobody else reads) into
// that layer's weight and bias, and drops Dropout nodes. A BatchNorm that cannot be folded stays.
// The result computes the same function in eval mode, up to rounding.
Graph fold_batch_norm(const Graph& graph);

}  // namespace fedstill
