#include "model/zoo_families.h"

namespace fedstill::zoo {
namespace {

int linear_relu(GraphBuilder& build, int input, std::int64_t out) {
  return build.unary(build.linear(input, out), Op::kReLU);
}

int pooled_classifier(GraphBuilder& build, int input, std::int64_t classes) {
  return build.linear(build.unary(input, Op::kGlobalAveragePool), classes);
}

// The body of both cnn3: 32-64-128 channels, the image halved three times.
int three_convolutions(GraphBuilder& build) {
  int node = 0;
  for (const std::int64_t width : {32, 64, 128}) {
    node = build.conv_bn_relu(node, {.out = width, .stride = 2});
  }
  return node;
}

}  // namespace

int mlp(GraphBuilder& build, std::int64_t classes) {
  int node = build.unary(0, Op::kFlatten);
  node = linear_relu(build, node, 256);
  node = linear_relu(build, node, 128);
  return build.linear(node, classes);
}

// LeCun et al. 1998 with ReLU and max pooling.
int lenet5(GraphBuilder& build, std::int64_t classes) {
  int node = build.unary(build.conv(0, {.out = 6, .kernel = 5}), Op::kReLU);
  node = build.pool(node, Op::kMaxPool, 2, 2);
  node = build.unary(build.conv(node, {.out = 16, .kernel = 5, .padding = 0}), Op::kReLU);
  node = build.pool(node, Op::kMaxPool, 2, 2);
  node = linear_relu(build, build.unary(node, Op::kFlatten), 120);
  node = linear_relu(build, node, 84);
  return build.linear(node, classes);
}

int cnn3(GraphBuilder& build, std::int64_t classes) {
  return pooled_classifier(build, three_convolutions(build), classes);
}

int cnn3_flat(GraphBuilder& build, std::int64_t classes) {
  const int flat = build.unary(three_convolutions(build), Op::kFlatten);
  return build.linear(build.dropout(flat, 0.3F), classes);
}

int vgg_small(GraphBuilder& build, std::int64_t classes) {
  int node = 0;
  for (const std::int64_t width : {64, 128, 256}) {
    node = build.conv_bn_relu(node, {.out = width});
    node = build.conv_bn_relu(node, {.out = width});
    node = build.pool(node, Op::kMaxPool, 2, 2);
  }
  return pooled_classifier(build, node, classes);
}

}  // namespace fedstill::zoo
