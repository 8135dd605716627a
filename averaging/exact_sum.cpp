#include "averaging/exact_sum.h"

#include <algorithm>

#include "training/chain/kernels.h"
#include "training/fit.h"

namespace fedstill {
void ExactSum::add(std::span<const float> values, double weight) {
  if (chain::fastest_kernels().add_exactly(weight, values.data(), sums_.data(),
                                           std::ssize(values))) {
    return;
  }
  throw DivergedError(
      "[averaging] a client's weights are NaN or reach 32,768; its training diverged");
}

void ExactSum::add(const ExactSum& other) {
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
}

void ExactSum::clear() { std::ranges::fill(sums_, 0.0); }

}  // namespace fedstill
