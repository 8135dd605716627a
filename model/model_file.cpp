#include "model/model_file.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "model/atomic_file.h"
#include "model/byte_source.h"
#include "model/decode_error.h"
#include "model/graph_json.h"
#include "model/model_container.h"
#include "model/named_file.h"
#include "model/sha256.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

using Json = nlohmann::json;
using Metadata = std::map<std::string, std::string>;
constexpr const char* kVersionKey = "fedstill.version";
constexpr const char* kVersion = "1";
constexpr const char* kGraphKey = "fedstill.graph";
constexpr const char* kQuantizationKey = "fedstill.quantization";
constexpr std::string_view kScalePrefix = "fedstill.scale:";  // + the weight's name

Metadata metadata_of(const Graph& graph) {
  return {{kVersionKey, kVersion}, {kGraphKey, graph_to_json(graph)}};
}

std::string quantization_to_json(const QuantizedGraph& graph) {
  Json activations = Json::array();
  for (const ActivationScale& activation : graph.activations) {
    activations.push_back(
        {{"scale", json_of_float(activation.scale)}, {"zero_point", activation.zero_point}});
  }
  return Json{{"scheme", graph.scheme}, {"activations", activations}}.dump();
}

void quantization_from_json(std::string_view text, const ModelFileLimits& limits,
                            QuantizedGraph& graph) {
  const Json json = parse_strict_json(text, "quantization");
  StrictObject object(json, "quantization");
  graph.scheme = object.text("scheme");
  for (const Json& element : object.array("activations", limits.graph.max_nodes)) {
    StrictObject activation(element,
                            "quantization, node " + std::to_string(graph.activations.size()));
    graph.activations.push_back(
        {.scale = activation.real("scale"),
         .zero_point = static_cast<std::uint8_t>(activation.integer("zero_point", 0, 255))});
    activation.finish();
  }
  object.finish();
}

// The graph's tensors and, beside each weight, its scales.
std::map<std::string, Tensor> with_scales(const QuantizedGraph& graph) {
  std::map<std::string, Tensor> tensors = graph.graph.tensors;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(kScalePrefix)) {
      throw std::invalid_argument("[model file] tensor name '" + name + "' is reserved for scales");
    }
  }
  for (const auto& [weight, scales] : graph.weight_scales) {
    const auto size = static_cast<std::int64_t>(scales.size());
    tensors[std::string(kScalePrefix) + weight] = Tensor::of_floats({size}, scales);
  }
  return tensors;
}

// Moves the scale tensors out of the graph's tensors.
std::map<std::string, std::vector<float>> take_scales(std::map<std::string, Tensor>& tensors) {
  std::map<std::string, std::vector<float>> scales;
  for (auto it = tensors.lower_bound(std::string(kScalePrefix));
       it != tensors.end() && it->first.starts_with(kScalePrefix);) {
    if (it->second.dtype() != DType::kF32 || it->second.shape().size() != 1) {
      throw DecodeError("[model file] '" + shown(it->first) + "' is not a vector of floats");
    }
    const auto values = it->second.values<float>();
    scales[it->first.substr(kScalePrefix.size())].assign(values.begin(), values.end());
    it = tensors.erase(it);
  }
  return scales;
}

const std::string& require(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) {
    throw DecodeError(std::string("[model file] metadata '") + key + "' is missing");
  }
  return found->second;
}

// Takes the tensors. Metadata of other tools stays unread; a key of ours that this version does not
// know would change the meaning, so it is refused.
Graph graph_of(Safetensors& file, const ModelFileLimits& limits, bool is_quantized) {
  const std::string& version = require(file.metadata, kVersionKey);
  if (version != kVersion) {
    throw DecodeError("[model file] version '" + shown(version) + "', expected 1");
  }
  for (const auto& [key, value] : file.metadata) {
    const bool is_known = key == kVersionKey || key == kGraphKey ||
                          (is_quantized && key == kQuantizationKey) ||
                          !key.starts_with("fedstill.");
    if (!is_known) throw DecodeError("[model file] unexpected metadata '" + shown(key) + "'");
  }
  Graph graph = graph_from_json(require(file.metadata, kGraphKey), limits.graph);
  graph.tensors = std::move(file.tensors);
  return graph;
}

// What validation finds in a file is the file's fault.
template <typename Check>
void as_decode_error(Check&& check) {
  try {
    check();
  } catch (const std::invalid_argument& error) {
    throw DecodeError(std::string("[model file] ") + error.what());
  }
}

}  // namespace

std::vector<std::byte> encode_model(const Graph& graph) {
  validate(graph);
  return encode_container(metadata_of(graph), graph.tensors);
}

std::vector<std::byte> encode_model(const QuantizedGraph& graph) {
  validate(graph);
  Metadata metadata = metadata_of(graph.graph);
  metadata[kQuantizationKey] = quantization_to_json(graph);
  return encode_container(std::move(metadata), with_scales(graph));
}

Graph decode_model(std::span<const std::byte> bytes, const ModelFileLimits& limits) {
  return decode_model(MemorySource(bytes), limits);
}

Graph decode_model(const ByteSource& source, const ModelFileLimits& limits) {
  Safetensors file = decode_container(source, limits);
  Graph graph = graph_of(file, limits, false);
  as_decode_error([&] {
    validate(graph, limits.graph);
    infer_shapes(graph, limits.graph);
  });
  return graph;
}

QuantizedGraph decode_quantized_model(std::span<const std::byte> bytes,
                                      const ModelFileLimits& limits) {
  Safetensors file = decode_container(MemorySource(bytes), limits);
  QuantizedGraph graph;
  quantization_from_json(require(file.metadata, kQuantizationKey), limits, graph);
  graph.weight_scales = take_scales(file.tensors);
  graph.graph = graph_of(file, limits, true);
  as_decode_error([&] { validate(graph, limits.graph); });
  return graph;
}

void write_model(const std::filesystem::path& path, const Graph& graph) {
  write_file_atomically(path, encode_model(graph));
}

Graph read_model(const std::filesystem::path& path, const ModelFileLimits& limits) {
  return decode_named(path, [&] { return decode_model(FileSource(path), limits); });
}

std::string model_hash(const Graph& graph) { return sha256_hex(encode_model(graph)); }

}  // namespace fedstill
