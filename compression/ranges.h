#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill {

struct ValueRange {
  double low = 0.0, high = 0.0;  // low ≤ 0 ≤ high: zero is always exact
};

// How the values of one activation are distributed: equal bins over the range they were seen in.
class ValueHistogram {
 public:
  static constexpr int kBins = 2048;

  ValueHistogram() : ValueHistogram(ValueRange{}) {}
  explicit ValueHistogram(const ValueRange& seen);
  void count(std::span<const float> values);  // Requires: within the range

  const ValueRange& seen() const { return seen_; }
  double bin_width() const { return width_; }
  double centre(int bin) const { return seen_.low + (bin + 0.5) * width_; }
  // Exact zeros are kept apart: no scale makes an error on them.
  std::span<const std::int64_t> counts() const { return counts_; }
  std::int64_t zeros() const { return zeros_; }

 private:
  ValueRange seen_;
  double width_;
  std::vector<std::int64_t> counts_;
  std::int64_t zeros_ = 0;
};

// Cuts off the values beyond the percentile on each side that has values.
ValueRange percentile_range(const ValueHistogram& histogram, double percentile);

// The range with the least squared error of rounding and clipping to 256 codes: both ends shrink,
// one after the other, until neither helps. Rounding within the range costs step² / 12 a value.
ValueRange minimum_error_range(const ValueHistogram& histogram);

// Expected squared error of all values when the range is cut into 255 steps.
double quantization_error(const ValueHistogram& histogram, const ValueRange& range);

// 256 codes over the range, zero exact. A range without extent gets scale 1.
ActivationScale scale_of(const ValueRange& range);

}  // namespace fedstill
