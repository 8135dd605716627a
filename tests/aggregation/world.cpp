#include "tests/aggregation/world.h"

#include <gtest/gtest.h>

namespace fedstill {

void expect_weights(const Rule& rule, const World& world, const NaiveWeight& naive,
                    double temperature) {
  const Combined out = combine_world(rule, world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    std::vector<double> weights(world.clients), labels(world.classes, 0.0);
    for (std::size_t k = 0; k < world.clients; ++k) weights[k] = naive(world, k, i);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (std::size_t k = 0; k < world.clients; ++k) {
      weights[k] /= sum;
      EXPECT_NEAR(weight(out, k, i), weights[k], 1e-6) << "client " << k << ", sample " << i;
      const auto p = world.softmax(k, i, temperature);
      for (std::size_t c = 0; c < world.classes; ++c) labels[c] += weights[k] * p[c];
    }
    for (std::size_t c = 0; c < world.classes; ++c) {
      EXPECT_NEAR(label(out, i, c), labels[c], 1e-6) << "sample " << i << ", class " << c;
    }
  }
}

}  // namespace fedstill
