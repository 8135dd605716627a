#include "model/zoo_families.h"

namespace fedstill::zoo {
namespace {

// He et al. 2016, basic block; where the shape changes the shortcut is a 1 × 1 projection.
int basic_block(GraphBuilder& build, int input, std::int64_t width, std::int64_t stride) {
  int node = build.conv_bn_relu(input, {.out = width, .stride = stride});
  node = build.conv_bn(node, {.out = width});
  const bool same_shape = stride == 1 && build.shape(input)[0] == width;
  const int shortcut =
      same_shape ? input : build.conv_bn(input, {.out = width, .kernel = 1, .stride = stride});
  return build.unary(build.binary(node, shortcut, Op::kAdd), Op::kReLU);
}

struct ResNet {
  std::int64_t width = 16;  // of the stem and the first stage; doubles with each stage
  int blocks = 1;           // per stage
  std::int64_t stem_stride = 1;
};

int resnet(GraphBuilder& build, const ResNet& form, std::int64_t classes) {
  int node = build.conv_bn_relu(0, {.out = form.width, .stride = form.stem_stride});
  for (int stage = 0; stage < 3; ++stage) {
    for (int block = 0; block < form.blocks; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      node = basic_block(build, node, form.width << stage, stride);
    }
  }
  return build.linear(build.unary(node, Op::kGlobalAveragePool), classes);
}

}  // namespace

int resnet8(GraphBuilder& build, std::int64_t classes) {
  return resnet(build, {.width = 16, .blocks = 1, .stem_stride = 2}, classes);
}

int resnet8_wide(GraphBuilder& build, std::int64_t classes) {
  return resnet(build, {.width = 32, .blocks = 1, .stem_stride = 2}, classes);
}

int resnet20(GraphBuilder& build, std::int64_t classes) {
  return resnet(build, {.width = 16, .blocks = 3, .stem_stride = 1}, classes);
}

}  // namespace fedstill::zoo
