#pragma once

#include <cstdint>
#include <string_view>

#include "averaging/engine.h"
#include "model/graph.h"

namespace fedstill {

// A federation of many small clients as simulators are compared by.
struct Workload {
  std::int64_t clients = 0, images = 0;  // images of each client
  std::int64_t per_round = 0, rounds = 0;
  LocalSteps steps{};
};

// "W1": logistic regression, 1,000 clients of 60 images, 10 a round, 100 rounds. "W2": two
// convolutions (32, 64), max-pool and two linear layers (128), 1,000 clients of 50, 50 a round, 20
// rounds. Throws std::invalid_argument for another name.
Workload named_workload(std::string_view name);
Graph workload_model(std::string_view name, const ImageShape& image, std::int64_t classes,
                     std::uint64_t seed);

}  // namespace fedstill
