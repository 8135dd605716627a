#include "compression/verify.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "compression/edge/classify.h"
#include "compression/edge/code_arithmetic.h"
#include "compression/edge/interpreter.h"
#include "compression/float_taps.h"
#include "model/edit.h"
#include "model/fold.h"
#include "training/predict.h"

namespace fedstill {
namespace {

// One comparison: the codes of a node against the float values of a node. A layer whose clamp
// applies the activation behind it is held against that activation.
struct Layer {
  int node;
  int float_node;
  double signal = 0.0, noise = 0.0;
};

std::vector<Layer> compared_layers(const Graph& graph) {
  std::vector<Layer> layers;
  std::vector<bool> applied(graph.nodes.size(), false);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const int activation = fused_activation(graph, static_cast<int>(i));
    if (activation >= 0) applied[static_cast<std::size_t>(activation)] = true;
    const int node = static_cast<int>(i);
    if (!applied[i])
      layers.push_back({.node = node, .float_node = activation >= 0 ? activation : node});
  }
  return layers;
}

double decibel(const Layer& layer) {
  if (layer.noise <= layer.signal * 1e-20) return kLosslessDecibel;
  return std::max(10.0 * std::log10(layer.signal / layer.noise), -kLosslessDecibel);
}

void compare(Layer& layer, std::span<const float> expected, std::span<const float> got) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double value = expected[i], difference = value - static_cast<double>(got[i]);
    layer.signal += value * value;
    layer.noise += difference * difference;
  }
}

std::vector<float> real_values(std::span<const std::uint8_t> codes, const ActivationScale& scale) {
  std::vector<float> values;
  values.reserve(codes.size());
  for (const std::uint8_t code : codes) values.push_back(real_value(code, scale));
  return values;
}

std::vector<Layer> measure_layers(const Graph& folded, const QuantizedGraph& quantized,
                                  const ImageView& images, const Normalisation& normalisation,
                                  std::int64_t count) {
  std::vector<Layer> layers = compared_layers(folded);
  std::vector<int> wanted;
  wanted.reserve(layers.size());
  for (const Layer& layer : layers) wanted.push_back(layer.float_node);
  const int logits_node = quantized.graph.output("logits");
  Interpreter interpreter(quantized);
  tap_float_values(folded, images, normalisation, count, wanted, [&](const TapBlock& block) {
    const auto part = [&](std::span<const float> all, std::int64_t i) {
      const std::size_t size = all.size() / static_cast<std::size_t>(block.count);
      return all.subspan(static_cast<std::size_t>(i) * size, size);
    };
    for (std::int64_t i = 0; i < block.count; ++i) {
      const std::span<const float> logits = interpreter.run(part(block.images, i));
      for (std::size_t k = 0; k < layers.size(); ++k) {
        const auto node = static_cast<std::size_t>(layers[k].node);
        const auto expected = part(block.values[k], i);
        if (layers[k].node == logits_node) {
          compare(layers[k], expected, logits);
        } else {
          compare(layers[k], expected,
                  real_values(interpreter.codes(layers[k].node), quantized.activations[node]));
        }
      }
    }
  });
  return layers;
}

double measure_agreement(const Graph& folded, const QuantizedGraph& quantized,
                         const ImageView& images, const Normalisation& normalisation) {
  const std::vector<std::string> wanted{"logits"};
  const at::Tensor logits = predict(folded, wanted, images, normalisation)[0].contiguous();
  const std::vector<int> expected = top_classes(
      {logits.const_data_ptr<float>(), static_cast<std::size_t>(logits.numel())}, images.count());
  const std::vector<int> got =
      classify(quantized, images.count(), [&](std::int64_t i) { return images.image(i); },
               {normalisation.mean, normalisation.deviation},
               {.threads = at::get_num_threads(), .on_block = {}});
  std::int64_t same = 0;
  for (std::size_t i = 0; i < got.size(); ++i) same += got[i] == expected[i];
  return static_cast<double>(same) / static_cast<double>(images.count());
}

std::string print(const char* format, double first, double second) {
  char text[128];
  std::snprintf(text, sizeof text, format, first, second);
  return text;
}

// The layer that loses most of the signal that reached it.
std::string worst_fall(const Graph& graph, const std::vector<Layer>& layers) {
  std::vector<double> at_node(graph.nodes.size(), 0.0);
  const Layer* worst = nullptr;
  double worst_from = 0.0, largest = 0.0;
  for (const Layer& layer : layers) {
    const double here = decibel(layer);
    at_node[static_cast<std::size_t>(layer.node)] = here;
    at_node[static_cast<std::size_t>(layer.float_node)] = here;
    double from = kLosslessDecibel;
    const auto& inputs = graph.nodes[static_cast<std::size_t>(layer.node)].inputs;
    for (const int input : inputs) from = std::min(from, at_node[static_cast<std::size_t>(input)]);
    if (inputs.empty() || (worst != nullptr && from - here <= largest)) continue;
    worst = &layer;
    worst_from = from;
    largest = from - here;
  }
  if (worst == nullptr) return "no node";
  return "node '" + graph.nodes[static_cast<std::size_t>(worst->node)].name + "' " +
         print("(from %.1f dB to %.1f dB)", worst_from, decibel(*worst));
}

void check_twins(const Graph& folded, const QuantizedGraph& quantized) {
  const auto& nodes = quantized.graph.nodes;
  const bool same = std::ranges::equal(folded.nodes, nodes, [](const Node& a, const Node& b) {
    return a.name == b.name && a.op == b.op && a.inputs == b.inputs;
  });
  if (!same) {
    throw std::invalid_argument("[gate] the quantized graph was not made from this student");
  }
}

}  // namespace

GateReport verify(const Graph& student, const QuantizedGraph& quantized, const ImageView& images,
                  const Normalisation& normalisation, const GateOptions& options) {
  const Graph folded = fold_batch_norm(extract(student, {"logits"}));
  check_twins(folded, quantized);
  const std::vector<Layer> layers =
      measure_layers(folded, quantized, images, normalisation, options.layer_images);
  GateReport report{.agreement = measure_agreement(folded, quantized, images, normalisation),
                    .images = images.count(),
                    .layers = {}};
  for (const Layer& layer : layers) {
    report.layers.push_back(
        {folded.nodes[static_cast<std::size_t>(layer.node)].name, decibel(layer)});
  }
  if (report.agreement >= options.minimum_agreement) return report;
  throw GateError("[gate] " + print("%.1f %%", report.agreement * 100.0, 0.0) + " of " +
                  std::to_string(report.images) + " images keep their class, " +
                  print("at least %.1f %% are needed", options.minimum_agreement * 100.0, 0.0) +
                  "; the signal falls most at " + worst_fall(folded, layers));
}

}  // namespace fedstill
