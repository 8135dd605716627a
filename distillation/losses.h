#pragma once

#include <string_view>
#include <vector>

#include "training/fit.h"

namespace fedstill {

// outputs[0]: student logits [B, C]; targets: soft labels [B, C] (rows sum to one).
Loss kl_divergence(double temperature);  // T² · KL(q ‖ softmax(z / T)); Hinton, Vinyals, Dean 2015
Loss hard_label();                       // cross entropy with argmax of the soft label
Loss logit_distance();  // mean squared distance of centred logits to centred log q (Ba & Caruana
                        // 2014)

std::vector<std::string_view> distillation_loss_names();  // "kl", "hard-label", "logit-distance"
Loss make_distillation_loss(std::string_view name, double temperature);

}  // namespace fedstill
