#pragma once

#include "model/graph.h"
#include "model/quantized_graph.h"

namespace fedstill::sample {

// Every operator at least once, attributes away from their defaults; image [3, 8, 8], outputs
// "logits" [6] and "confidence" (one scalar per sample).
Graph every_operator();

// Conv2d, ReLU, GlobalAveragePool, Linear on an image [1, 4, 4]: a file of some 1.5 kB.
Graph tiny();

// A residual network in int8 on an image [2, 6, 6] with each of the sharing rules: fused ReLU,
// fused Clip, Add with ReLU, MaxPool, Concat, Flatten, two Linear layers; logits [3].
QuantizedGraph quantized();

}  // namespace fedstill::sample
