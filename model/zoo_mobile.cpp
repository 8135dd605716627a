#include "model/zoo_families.h"

namespace fedstill::zoo {
namespace {

int depthwise(GraphBuilder& build, int input, std::int64_t stride) {
  const std::int64_t channels = build.shape(input)[0];
  return build.conv_bn(input, {.out = channels, .stride = stride, .groups = channels});
}

int pointwise(GraphBuilder& build, int input, std::int64_t out) {
  return build.conv_bn(input, {.out = out, .kernel = 1});
}

int relu6(GraphBuilder& build, int input) { return build.unary(input, Op::kClip); }

// Sandler et al. 2018: widen, filter per channel, narrow without an activation.
int inverted_residual(GraphBuilder& build, int input, std::int64_t expansion, std::int64_t out,
                      std::int64_t stride) {
  const std::int64_t in = build.shape(input)[0];
  int node = input;
  if (expansion > 1) node = relu6(build, pointwise(build, node, in * expansion));
  node = relu6(build, depthwise(build, node, stride));
  node = pointwise(build, node, out);
  return stride == 1 && in == out ? build.binary(input, node, Op::kAdd) : node;
}

// Han et al. 2020, ratio 2: half of the channels by a 1 × 1 convolution, the other half by a cheap
// filter of each of those.
int ghost_module(GraphBuilder& build, int input, std::int64_t out, bool activate) {
  const auto finish = [&](int node) { return activate ? build.unary(node, Op::kReLU) : node; };
  const int primary = finish(pointwise(build, input, out / 2));
  const int cheap = finish(depthwise(build, primary, 1));
  return build.binary(primary, cheap, Op::kConcat);
}

int ghost_bottleneck(GraphBuilder& build, int input, std::int64_t hidden, std::int64_t out,
                     std::int64_t stride) {
  int node = ghost_module(build, input, hidden, true);
  if (stride > 1) node = depthwise(build, node, stride);
  node = ghost_module(build, node, out, false);
  const bool same_shape = stride == 1 && build.shape(input)[0] == out;
  const int shortcut = same_shape ? input : pointwise(build, depthwise(build, input, stride), out);
  return build.binary(node, shortcut, Op::kAdd);
}

}  // namespace

int mobilenetv2_small(GraphBuilder& build, std::int64_t classes) {
  struct Stage {
    std::int64_t expansion, out;
    int blocks;
    std::int64_t stride;
  };
  constexpr Stage kStages[] = {
      {1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 3, 2}, {6, 96, 1, 1}};
  int node = relu6(build, build.conv_bn(0, {.out = 16}));
  for (const Stage& stage : kStages) {
    for (int block = 0; block < stage.blocks; ++block) {
      node =
          inverted_residual(build, node, stage.expansion, stage.out, block == 0 ? stage.stride : 1);
    }
  }
  node = relu6(build, pointwise(build, node, 256));
  return build.linear(build.unary(node, Op::kGlobalAveragePool), classes);
}

int ghostnet_small(GraphBuilder& build, std::int64_t classes) {
  struct Stage {
    std::int64_t hidden, out, stride;
  };
  constexpr Stage kStages[] = {{16, 16, 1},  {48, 24, 2},  {72, 24, 1}, {96, 48, 2},
                               {144, 48, 1}, {192, 96, 2}, {288, 96, 1}};
  int node = build.conv_bn_relu(0, {.out = 16});
  for (const Stage& stage : kStages) {
    node = ghost_bottleneck(build, node, stage.hidden, stage.out, stage.stride);
  }
  node = build.unary(pointwise(build, node, 256), Op::kReLU);
  return build.linear(build.unary(node, Op::kGlobalAveragePool), classes);
}

}  // namespace fedstill::zoo
