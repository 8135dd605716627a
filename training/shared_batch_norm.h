#pragma once

#include <ATen/core/Tensor.h>

#include "collective/collective.h"
#include "training/batch_norm_relu.h"

namespace fedstill {

// BatchNorm in train mode whose mean and variance are those of the images of all ranks: what one
// rank with the whole batch computes, up to rounding. The running statistics become the same on all
// ranks, with momentum 0.1 and the unbiased variance. Differentiable once; the gradients of weight
// and bias are of this rank's images, for who adds them up. All ranks must run forward and backward
// of the same calls in the same order, and the group must outlive the backward. Images [N, C, …]
// with two or more values per channel over all ranks. wire: whose memory the group exchanges.
// Throws CollectiveError.
at::Tensor shared_batch_norm(const at::Tensor& images, const BatchNormTensors& tensors,
                             double epsilon, Collective& group, at::Device wire = at::kCPU);

}  // namespace fedstill
