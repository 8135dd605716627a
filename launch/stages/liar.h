#pragma once

#include "model/graph.h"

namespace fedstill {

// Makes a client's confidence head answer "mine" to every image, as a client would that wants to
// decide alone. For measuring robustness only. Requires: an output "confidence" that a Linear
// feeds.
void always_claim(Graph& update);

}  // namespace fedstill
