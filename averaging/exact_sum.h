#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace fedstill {

// A weighted sum of vectors that is the same bits in whatever order and in however many parts it is
// made: every addend is rounded to a multiple of 2^-36 first, and as long as no sum reaches 2^16
// doubles add those without rounding.
class ExactSum {
 public:
  explicit ExactSum(std::size_t size) : sums_(size) {}

  // Adds weight × values. Throws DivergedError where a product is not below 2^15 in magnitude.
  // Requires: equal sizes.
  void add(std::span<const float> values, double weight);
  void add(const ExactSum& other);
  void clear();

  std::span<double> sums() { return sums_; }
  std::span<const double> sums() const { return sums_; }

 private:
  std::vector<double> sums_;
};

}  // namespace fedstill
