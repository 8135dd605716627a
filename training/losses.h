#pragma once

#include "training/fit.h"

namespace fedstill {

// KL(q ‖ softmax(z / T)) of logits z and distributions q, both [B, C]: one value per row [B].
at::Tensor divergence(const at::Tensor& logits, const at::Tensor& targets, double temperature);

Loss cross_entropy();         // outputs[0] logits [B, C], targets [B] int64
Loss binary_cross_entropy();  // outputs[0] logit [B] or [B, 1] before the sigmoid, targets [B] in
                              // [0, 1]

}  // namespace fedstill
