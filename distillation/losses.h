#pragma once

#include <string_view>
#include <vector>

#include "training/fit.h"

namespace fedstill {

// outputs[0]: student logits [B, C]; targets: soft labels [B, C], rows sum to one. Means over the
// batch. Calling one throws std::invalid_argument if the shapes differ.

// T² · KL(q ‖ softmax(z / T)); Hinton, Vinyals, Dean 2015. Throws unless T is positive.
Loss kl_divergence(double temperature);
// Cross entropy with the argmax of the soft label.
Loss hard_label();
// Mean squared distance of centred logits to centred log q, q at least 1e-6; Ba & Caruana 2014.
Loss logit_distance();

std::vector<std::string_view> distillation_loss_names();  // "kl", "hard-label", "logit-distance"
Loss make_distillation_loss(std::string_view name, double temperature);

}  // namespace fedstill
