#pragma once

#include <cstdint>

#include "model/builder.h"

namespace fedstill::zoo {

// Each adds one architecture behind the builder's Input and returns the node of its logits.

int mlp(GraphBuilder& build, std::int64_t classes);
int lenet5(GraphBuilder& build, std::int64_t classes);
int cnn3(GraphBuilder& build, std::int64_t classes);
int cnn3_flat(GraphBuilder& build, std::int64_t classes);  // last map flattened, dropout .3
int vgg_small(GraphBuilder& build, std::int64_t classes);

int resnet8(GraphBuilder& build, std::int64_t classes);       // 16-32-64, stem of stride 2
int resnet8_wide(GraphBuilder& build, std::int64_t classes);  // 32-64-128, stem of stride 2
int resnet20(GraphBuilder& build, std::int64_t classes);

int mobilenetv2_small(GraphBuilder& build, std::int64_t classes);
int ghostnet_small(GraphBuilder& build, std::int64_t classes);

}  // namespace fedstill::zoo
