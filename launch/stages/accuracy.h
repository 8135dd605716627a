#pragma once

#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "model/graph.h"

namespace fedstill {

// The share of the images that the network with the output "logits" puts in their class; 0 without
// images.
double accuracy_on(const Graph& graph, const Shard& images, const Run& run,
                   const Material& material);

}  // namespace fedstill
