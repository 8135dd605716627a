#pragma once

#include <ATen/core/Tensor.h>

namespace fedstill {

struct BatchNormTensors {
  at::Tensor weight, bias, running_mean, running_var;  // each [C] float32
};

// True where batch_norm_relu() takes the images: float32 [N, C, H, W] in channels-last memory of
// the host with more than one value per channel.
bool fits_batch_norm_relu(const at::Tensor& images);

// BatchNorm in train mode followed by ReLU in as few passes over memory as there can be: two
// forward and two backward, where the separate operators need four and three, over more tensors.
// Updates the running statistics as PyTorch does, with momentum 0.1. Differentiable once. The
// result is the same bits for every number of threads. Requires: fits_batch_norm_relu(images).
at::Tensor batch_norm_relu(const at::Tensor& images, const BatchNormTensors& tensors,
                           double epsilon);

}  // namespace fedstill
