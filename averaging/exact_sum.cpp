#include "averaging/exact_sum.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "training/fit.h"

namespace fedstill {
namespace {

constexpr double kLimit = 0x1p15;
// Adding 1.5 · 2^16 leaves 36 bits behind the point: what is below is rounded, half to even.
constexpr double kRounder = 0x1.8p16;

}  // namespace

void ExactSum::add(std::span<const float> values, double weight) {
  int outside = 0;
  double* const sums = sums_.data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double addend = static_cast<double>(values[i]) * weight;
    outside |= static_cast<int>(!(std::fabs(addend) < kLimit));
    const double shifted = addend + kRounder;
    sums[i] += shifted - kRounder;
  }
  if (outside != 0) {
    throw DivergedError("[averaging] a client's weights are NaN or beyond " +
                        std::to_string(static_cast<int>(kLimit)) + "; its training diverged");
  }
}

void ExactSum::add(const ExactSum& other) {
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
}

void ExactSum::clear() { std::ranges::fill(sums_, 0.0); }

}  // namespace fedstill
