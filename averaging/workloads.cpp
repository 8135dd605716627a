#include "averaging/workloads.h"

#include <stdexcept>
#include <string>

#include "model/builder.h"

namespace fedstill {
namespace {

int logistic_regression(GraphBuilder& build, std::int64_t classes) {
  return build.linear(build.unary(0, Op::kFlatten), classes);
}

int two_convolutions(GraphBuilder& build, std::int64_t classes) {
  int node = build.unary(build.conv(0, {.out = 32, .padding = 0}), Op::kReLU);
  node = build.unary(build.conv(node, {.out = 64, .padding = 0}), Op::kReLU);
  node = build.unary(build.pool(node, Op::kMaxPool, 2, 2), Op::kFlatten);
  node = build.unary(build.linear(node, 128), Op::kReLU);
  return build.linear(node, classes);
}

[[noreturn]] void refuse(std::string_view name) {
  throw std::invalid_argument("[averaging] found workload \"" + std::string(name) +
                              "\", expected W1 or W2");
}

}  // namespace

Workload named_workload(std::string_view name) {
  if (name == "W1") {
    return {.clients = 1000,
            .images = 60,
            .per_round = 10,
            .rounds = 100,
            .steps = {.batch = 10, .epochs = 1, .learning_rate = 0.03}};
  }
  if (name != "W2") refuse(name);
  return {.clients = 1000,
          .images = 50,
          .per_round = 50,
          .rounds = 20,
          .steps = {.batch = 10, .epochs = 1, .learning_rate = 0.1}};
}

Graph workload_model(std::string_view name, const ImageShape& image, std::int64_t classes,
                     std::uint64_t seed) {
  GraphBuilder build(std::string(name), {image.channels, image.height, image.width}, seed);
  if (name != "W1" && name != "W2") refuse(name);
  const int logits =
      name == "W1" ? logistic_regression(build, classes) : two_convolutions(build, classes);
  return std::move(build).finish(logits);
}

}  // namespace fedstill
