#include "compression/ranges.h"

#include <algorithm>
#include <cmath>

namespace fedstill {
namespace {

constexpr double kSteps = 255.0;
constexpr double kNoExtent = 1e-20;  // below it scales could become subnormal
constexpr int kCandidates = 100;     // an end of a range shrinks in hundredths…
constexpr int kSmallest = 5;         // …down to this many
constexpr int kSweeps = 3;

}  // namespace

ValueHistogram::ValueHistogram(const ValueRange& seen)
    : seen_(seen),
      width_((seen.high - seen.low) / kBins),
      counts_(static_cast<std::size_t>(kBins), 0) {}

void ValueHistogram::count(std::span<const float> values) {
  const double bins_per_unit = width_ > 0.0 ? 1.0 / width_ : 0.0;
  for (const float value : values) {
    if (value == 0.0F) {
      ++zeros_;
      continue;
    }
    const double bin = std::floor((value - seen_.low) * bins_per_unit);
    ++counts_[static_cast<std::size_t>(std::clamp(bin, 0.0, kBins - 1.0))];
  }
}

ValueRange percentile_range(const ValueHistogram& histogram, double percentile) {
  std::int64_t total = histogram.zeros();
  for (const std::int64_t count : histogram.counts()) total += count;
  const double beyond = (1.0 - percentile / 100.0) * static_cast<double>(total);
  const auto counts = histogram.counts();
  ValueRange range = histogram.seen();
  double dropped = 0.0;
  for (int bin = ValueHistogram::kBins - 1; bin >= 0 && range.high > 0.0; --bin) {
    dropped += static_cast<double>(counts[static_cast<std::size_t>(bin)]);
    if (dropped > beyond) break;
    range.high = std::max(histogram.centre(bin) - histogram.bin_width() / 2.0, 0.0);
  }
  dropped = 0.0;
  for (int bin = 0; bin < ValueHistogram::kBins && range.low < 0.0; ++bin) {
    dropped += static_cast<double>(counts[static_cast<std::size_t>(bin)]);
    if (dropped > beyond) break;
    range.low = std::min(histogram.centre(bin) + histogram.bin_width() / 2.0, 0.0);
  }
  return range;
}

double quantization_error(const ValueHistogram& histogram, const ValueRange& range) {
  const double step = (range.high - range.low) / kSteps;
  const double rounding = step * step / 12.0;
  double error = 0.0;
  for (int bin = 0; bin < ValueHistogram::kBins; ++bin) {
    const std::int64_t count = histogram.counts()[static_cast<std::size_t>(bin)];
    if (count == 0) continue;
    const double value = histogram.centre(bin);
    const double clipped = value - std::clamp(value, range.low, range.high);
    const double cost = clipped == 0.0 ? rounding : clipped * clipped;
    error += static_cast<double>(count) * cost;
  }
  return error;
}

ValueRange minimum_error_range(const ValueHistogram& histogram) {
  const ValueRange seen = histogram.seen();
  ValueRange best = seen;
  double least = quantization_error(histogram, best);
  const auto consider = [&](const ValueRange& range) {
    const double error = quantization_error(histogram, range);
    if (error < least) {
      least = error;
      best = range;
    }
  };
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    const double before = least;
    for (int i = kSmallest; i < kCandidates && seen.high > 0.0; ++i) {
      consider({best.low, seen.high * i / kCandidates});
    }
    for (int i = kSmallest; i < kCandidates && seen.low < 0.0; ++i) {
      consider({seen.low * i / kCandidates, best.high});
    }
    if (least == before) break;
  }
  return best;
}

ActivationScale scale_of(const ValueRange& range) {
  const double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
  if (!(high - low > kNoExtent)) return {1.0F, 0};
  const auto scale = static_cast<float>((high - low) / kSteps);
  const double zero = std::nearbyint(-low / static_cast<double>(scale));
  return {scale, static_cast<std::uint8_t>(std::clamp(zero, 0.0, kSteps))};
}

}  // namespace fedstill
