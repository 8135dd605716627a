#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/builder.h"
#include "model/graph.h"
#include "model/random.h"
#include "tests/support/fill_uniform.h"

namespace fedstill::tests {

// Gives every parameter a value other than its initial one, so that a BatchNorm or a bias that is
// ignored shows: uniform in ±0.5, variances and scales in [0.5, 1.5].
inline void randomise_parameters(Graph& graph, std::uint64_t seed) {
  std::uint64_t number = 0;
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.parameters.size(); ++i) {
      const bool is_positive = node.op == Op::kBatchNorm && (i == 0 || i == 3);
      fill_uniform(graph.tensors.at(node.parameters[i]).values<float>(), derive_key(seed, number++),
                   is_positive ? 0.5F : -0.5F, is_positive ? 1.5F : 0.5F);
    }
  }
}

// One sample of the graph's input, uniform in ±1.
inline std::vector<float> random_sample(const Graph& graph, std::uint64_t seed) {
  std::vector<float> sample(static_cast<std::size_t>(element_count(graph.input_shape())));
  fill_uniform(sample, seed, -1.0F, 1.0F);
  return sample;
}

// A graph with every operator, with odd sizes, strides, padding, dilation, groups, axes other than
// 0 and values that leave every activation's linear range. Outputs "logits" [N, 5], "scores" [N, 5]
// (softmax of the logits) and "features" [N, 24].
inline Graph every_operator_graph(std::uint64_t seed) {
  GraphBuilder build("every-operator", {4, 11, 9}, seed);
  int node = build.conv_bn(0, {.out = 8, .kernel = 3, .stride = 2});  // [8, 6, 5]
  node = build.unary(node, Op::kReLU);
  const int grouped = build.conv(node, {.out = 8, .kernel = 3, .groups = 4});
  node = build.binary(node, build.unary(grouped, Op::kHardSwish), Op::kAdd);
  node = build.binary(node, build.unary(node, Op::kHardSigmoid), Op::kMul);
  const int left = build.unary(build.slice(node, 0, 3), Op::kLeakyReLU);
  const int right = build.unary(build.slice(node, 3, 8), Op::kTanh);
  node = build.binary(right, left, Op::kConcat);
  node = build.unary(build.conv(node, {.out = 6, .kernel = 2, .padding = 1}), Op::kClip);
  node = build.pool(node, Op::kMaxPool, 3, 2);                   // [6, 3, 2]
  node = build.unary(node, Op::kUpsample);                       // [6, 6, 4]
  node = build.pool(node, Op::kAveragePool, 2, 1);               // [6, 5, 3]
  const int wide = build.conv(node, {.out = 7, .kernel = 3});    // [7, 5, 3]
  const int pooled = build.unary(wide, Op::kGlobalAveragePool);  // [7]
  node = build.reshape(build.slice(node, 1, 5), {6, 10});        // [6, 10]
  node = build.unary(node, Op::kSigmoid);
  node = build.linear(build.unary(node, Op::kFlatten), 17);
  node = build.binary(build.batch_norm(node), pooled, Op::kConcat);  // [24]
  const int logits = build.linear(build.dropout(node, 0.25F), 5);
  const int scores = build.unary(logits, Op::kSoftmax);
  Graph graph = std::move(build).finish(logits);
  graph.outputs = {{"logits", logits}, {"scores", scores}, {"features", node}};

  Attributes& dilated = graph.nodes[static_cast<std::size_t>(wide)].attributes;
  dilated.dilation = {2, 1};
  dilated.padding = {2, 1};
  graph.nodes[static_cast<std::size_t>(graph.find("leaky_relu1"))].attributes.slope = 0.2F;
  Attributes& clip = graph.nodes[static_cast<std::size_t>(graph.find("clip1"))].attributes;
  clip.low = -0.25F;
  clip.high = 0.5F;
  randomise_parameters(graph, seed);
  validate(graph);
  return graph;
}

}  // namespace fedstill::tests
