#include "compression/calibrate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "compression/edge/code_arithmetic.h"
#include "compression/float_taps.h"
#include "compression/ranges.h"

namespace fedstill {
namespace {

// Per node: the node whose values decide the scale. Walks forward for the operators that pass codes
// through, then hands the scale of a fused activation back to its producer.
std::vector<int> scale_owners(const Graph& graph) {
  std::vector<int> owner;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    owner.push_back(static_cast<int>(i));
    if (!keeps_scale(node.op)) continue;
    const int input = node.inputs[0];
    if (fused_activation(graph, input) != static_cast<int>(i)) {
      owner[i] = owner[static_cast<std::size_t>(input)];
    }
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const int activation = fused_activation(graph, static_cast<int>(i));
    if (activation >= 0) owner[i] = activation;
  }
  return owner;
}

// Everything a pixel can be: no image may be clipped at the door, and 256 pixels fit 256 codes.
ValueRange input_range(const Normalisation& normalisation) {
  ValueRange range;
  for (std::size_t c = 0; c < normalisation.mean.size(); ++c) {
    const double mean = normalisation.mean[c], deviation = normalisation.deviation[c];
    range.low = std::min(range.low, (0.0 - mean) / deviation);
    range.high = std::max(range.high, (1.0 - mean) / deviation);
  }
  return range;
}

void widen(ValueRange& range, std::span<const float> values, const Node& node) {
  float low = 0.0F, high = 0.0F, check = 0.0F;
  for (const float value : values) {
    low = value < low ? value : low;
    high = value > high ? value : high;
    check += value * 0.0F;  // NaN for anything that is not finite
  }
  if (check != 0.0F) {
    throw std::invalid_argument("[calibrate] node '" + node.name +
                                "' has values that are not finite");
  }
  range.low = std::min(range.low, static_cast<double>(low));
  range.high = std::max(range.high, static_cast<double>(high));
}

// A runtime drops a Clip, and computes the layer before it in integers, only if the codes cannot
// leave its bounds: the scale must not round beyond them.
ActivationScale within(ActivationScale scale, const Node& node) {
  if (node.op != Op::kClip) return scale;
  const float low = node.attributes.low, high = node.attributes.high;
  const auto below = static_cast<float>(scale.zero_point), above = 255.0F - below;
  if (above > 0.0F && high > 0.0F) scale.scale = std::min(scale.scale, high / above);
  if (below > 0.0F && low < 0.0F) scale.scale = std::min(scale.scale, -low / below);
  const auto leaves = [&] {
    return (high > 0.0F && scale.scale * above > high) ||
           (low < 0.0F && -scale.scale * below < low);
  };
  while (leaves()) scale.scale = std::nextafter(scale.scale, 0.0F);
  return scale;
}

class Calibration {
 public:
  Calibration(const Graph& graph, const ImageView& images, const Normalisation& normalisation,
              const CalibrationOptions& options)
      : graph_(graph), images_(images), normalisation_(normalisation), options_(options) {
    for (const int owner : scale_owners(graph)) owners_.push_back(owner);
    measured_ = owners_;
    std::ranges::sort(measured_);
    measured_.erase(std::unique(measured_.begin(), measured_.end()), measured_.end());
    std::erase(measured_, owners_[0]);
  }

  std::vector<ActivationScale> run() {
    std::map<int, ActivationScale> scales;
    scales[owners_[0]] = scale_of(input_range(normalisation_));
    const std::vector<ValueRange> ranges = find_ranges();
    for (std::size_t i = 0; i < measured_.size(); ++i) {
      scales[measured_[i]] = within(scale_of(ranges[i]), node(measured_[i]));
    }
    std::vector<ActivationScale> shared;
    for (const int owner : owners_) shared.push_back(scales.at(owner));
    return shared;
  }

 private:
  const Node& node(int index) const { return graph_.nodes[static_cast<std::size_t>(index)]; }

  template <typename Look>
  void look(const Look& look_at) const {
    tap_float_values(graph_, images_, normalisation_, options_.images, measured_,
                     [&](const TapBlock& block) {
                       for (std::size_t i = 0; i < measured_.size(); ++i) {
                         look_at(i, block.values[i]);
                       }
                     });
  }

  std::vector<ValueRange> find_ranges() const {
    std::vector<ValueRange> ranges(measured_.size());
    look([&](std::size_t i, std::span<const float> values) {
      widen(ranges[i], values, node(measured_[i]));
    });
    if (options_.method == "min-max") return ranges;
    std::vector<ValueHistogram> histograms(ranges.begin(), ranges.end());
    look([&](std::size_t i, std::span<const float> values) { histograms[i].count(values); });
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      ranges[i] = options_.method == "percentile"
                      ? percentile_range(histograms[i], options_.percentile)
                      : minimum_error_range(histograms[i]);
    }
    return ranges;
  }

  const Graph& graph_;
  const ImageView& images_;
  const Normalisation& normalisation_;
  const CalibrationOptions& options_;
  std::vector<int> owners_, measured_;
};

void check(const CalibrationOptions& options) {
  const auto known = calibration_methods();
  if (std::ranges::find(known, options.method) == known.end()) {
    std::string names;
    for (const std::string_view name : known)
      names += (names.empty() ? "" : ", ") + std::string(name);
    throw std::invalid_argument("[calibrate] unknown method '" + options.method +
                                "', expected one of " + names);
  }
  if (!(options.percentile > 50.0 && options.percentile <= 100.0)) {
    throw std::invalid_argument("[calibrate] percentile is " + std::to_string(options.percentile) +
                                ", expected above 50 and at most 100");
  }
}

}  // namespace

std::vector<std::string_view> calibration_methods() {
  return {"min-max", "percentile", "minimum-error"};
}

std::vector<ActivationScale> calibrate(const Graph& folded, const ImageView& images,
                                       const Normalisation& normalisation,
                                       const CalibrationOptions& options) {
  check(options);
  return Calibration(folded, images, normalisation, options).run();
}

}  // namespace fedstill
