#include "coordinator/update_check.h"

#include <stdexcept>
#include <vector>

#include "model/byte_source.h"
#include "model/cost.h"
#include "model/decode_error.h"
#include "model/finite_weights.h"

namespace fedstill {
namespace {

std::string shape_problem(const std::string& what, const SampleShape& found,
                          const SampleShape& expected) {
  if (found == expected) return {};
  return "[update] " + what + ": found " + shape_text(found) + ", expected " + shape_text(expected);
}

std::string find_output_problem(const Graph& graph, std::int64_t classes,
                                const GraphLimits& limits) {
  const auto logits = graph.outputs.find("logits");
  const auto confidence = graph.outputs.find("confidence");
  if (graph.outputs.size() != 2 || logits == graph.outputs.end() ||
      confidence == graph.outputs.end()) {
    return "[update] expected exactly the outputs logits and confidence";
  }
  const std::vector<SampleShape> shapes = infer_shapes(graph, limits);
  const auto shape_of = [&](int node) { return shapes[static_cast<std::size_t>(node)]; };
  if (auto problem = shape_problem("logits", shape_of(logits->second), {classes});
      !problem.empty()) {
    return problem;
  }
  return shape_problem("confidence", shape_of(confidence->second), {});
}

std::string find_cost_problem(const Graph& graph, const UpdateLimits& limits) {
  const Cost cost = total_cost(graph);
  const std::int64_t most = limits.max_activation_bytes;
  if (cost.operations > limits.max_operations) {
    return "[update] " + std::to_string(cost.operations) +
           " operations per image, expected at most " + std::to_string(limits.max_operations);
  }
  if (cost.activation_bytes > most || cost.padded_bytes > most - cost.activation_bytes) {
    return "[update] " + std::to_string(cost.activation_bytes) + " bytes of activations and " +
           std::to_string(cost.padded_bytes) + " of padded inputs per image, expected at most " +
           std::to_string(most);
  }
  return {};
}

std::string find_weight_problem(const Graph& graph) {
  for (const auto& [name, tensor] : graph.tensors) {
    if (tensor.dtype() != DType::kF32) return "[update] tensor '" + name + "' is not F32";
  }
  const std::string_view name = find_not_finite(graph);
  return name.empty() ? "" : "[update] tensor '" + std::string(name) + "' is not finite";
}

std::string find_graph_problem(const Graph& graph, const ImageShape& image, std::int64_t classes,
                               const UpdateLimits& limits) {
  std::string problem =
      shape_problem("input", graph.input_shape(), {image.channels, image.height, image.width});
  if (problem.empty()) problem = find_output_problem(graph, classes, limits.file.graph);
  if (problem.empty()) problem = find_cost_problem(graph, limits);
  if (problem.empty()) problem = find_weight_problem(graph);
  return problem;
}

std::string find_source_problem(const ByteSource& source, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits) {
  try {
    return find_graph_problem(decode_model(source, limits.file), image, classes, limits);
  } catch (const DecodeError& error) {
    return error.what();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

}  // namespace

std::string find_update_problem(const std::filesystem::path& file, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits) {
  return find_source_problem(FileSource(file), image, classes, limits);
}

std::string find_update_problem(std::span<const std::byte> bytes, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits) {
  return find_source_problem(MemorySource(bytes), image, classes, limits);
}

}  // namespace fedstill
