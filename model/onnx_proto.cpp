#include "model/onnx_proto.h"

#include <protozero/pbf_writer.hpp>
#include <stdexcept>

#include "model/onnx_fields.h"

namespace fedstill {
namespace {

using protozero::pbf_writer;

constexpr std::int64_t kIrVersion = 8;
constexpr std::int64_t kOpset = 17;

struct AttributeEncoder {
  pbf_writer& out;

  void operator()(std::int64_t value) const {
    out.add_int64(attribute_field::kInt, value);
    out.add_enum(attribute_field::kType, attribute_type::kInt);
  }
  void operator()(float value) const {
    out.add_float(attribute_field::kFloat, value);
    out.add_enum(attribute_field::kType, attribute_type::kFloat);
  }
  void operator()(const std::string& value) const {
    out.add_bytes(attribute_field::kString, value);
    out.add_enum(attribute_field::kType, attribute_type::kString);
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    for (const std::int64_t value : values) out.add_int64(attribute_field::kInts, value);
    out.add_enum(attribute_field::kType, attribute_type::kInts);
  }
};

// ValueInfoProto { name, type { tensor_type { elem_type, shape { dim… } } } }
std::string value_info(const std::string& name, const SampleShape& shape) {
  std::string dims, tensor, type, info;
  pbf_writer dims_out(dims), tensor_out(tensor), type_out(type), info_out(info);
  pbf_writer(dims_out, 1).add_string(2, "N");
  for (const std::int64_t size : shape) pbf_writer(dims_out, 1).add_int64(1, size);
  tensor_out.add_int32(1, static_cast<std::int32_t>(OnnxType::kFloat));
  tensor_out.add_message(2, dims);
  type_out.add_message(1, tensor);
  info_out.add_string(1, name);
  info_out.add_message(2, type);
  return info;
}

}  // namespace

std::string OnnxWriter::claim(const std::string& name) {
  if (!names_.insert(name).second) {
    throw std::invalid_argument("[onnx] the name '" + name + "' is used twice");
  }
  return name;
}

std::string OnnxWriter::fresh(const std::string& name) {
  std::string free = name;
  for (int i = 1; !names_.insert(free).second; ++i) free = name + "_" + std::to_string(i);
  return free;
}

std::string OnnxWriter::constant(const std::string& name, OnnxType type,
                                 std::span<const std::int64_t> dims,
                                 std::span<const std::byte> bytes) {
  std::string taken = fresh(name);
  pbf_writer graph(initializers_);
  pbf_writer tensor(graph, graph_field::kInitializer);
  for (const std::int64_t size : dims) tensor.add_int64(tensor_field::kDims, size);
  tensor.add_int32(tensor_field::kType, static_cast<std::int32_t>(type));
  tensor.add_string(tensor_field::kName, taken);
  tensor.add_bytes(tensor_field::kRaw, reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return taken;
}

std::string OnnxWriter::scalar(const std::string& name, float value) {
  return constant(name, OnnxType::kFloat, {}, std::as_bytes(std::span(&value, 1)));
}

std::string OnnxWriter::scalar(const std::string& name, std::uint8_t value) {
  return constant(name, OnnxType::kUint8, {}, std::as_bytes(std::span(&value, 1)));
}

std::string OnnxWriter::floats(const std::string& name, std::span<const float> values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return constant(name, OnnxType::kFloat, std::span(&size, 1), std::as_bytes(values));
}

std::string OnnxWriter::integers(const std::string& name, std::span<const std::int64_t> values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return constant(name, OnnxType::kInt64, std::span(&size, 1), std::as_bytes(values));
}

void OnnxWriter::node(const std::string& op, std::span<const std::string> inputs,
                      const std::string& output, std::span<const OnnxAttribute> attributes) {
  pbf_writer graph(nodes_);
  pbf_writer node(graph, graph_field::kNode);
  for (const std::string& input : inputs) node.add_string(node_field::kInput, input);
  node.add_string(node_field::kOutput, output);
  node.add_string(node_field::kName, output);
  node.add_string(node_field::kOp, op);
  for (const OnnxAttribute& attribute : attributes) {
    pbf_writer out(node, node_field::kAttribute);
    out.add_string(attribute_field::kName, attribute.name);
    std::visit(AttributeEncoder{out}, attribute.value);
  }
}

void OnnxWriter::input(const std::string& name, const SampleShape& shape) {
  pbf_writer(inputs_).add_message(graph_field::kInput, value_info(name, shape));
}

void OnnxWriter::output(const std::string& name, const SampleShape& shape) {
  pbf_writer(outputs_).add_message(graph_field::kOutput, value_info(name, shape));
}

std::vector<std::byte> OnnxWriter::finish(
    const std::string& graph_name, const std::map<std::string, std::string>& metadata) const {
  std::string graph = nodes_;
  pbf_writer(graph).add_string(graph_field::kName, graph_name);
  graph += initializers_ + inputs_ + outputs_;
  std::string model;
  pbf_writer out(model);
  out.add_int64(model_field::kIr, kIrVersion);
  out.add_string(model_field::kProducer, "fedstill");
  out.add_message(model_field::kGraph, graph);
  pbf_writer(out, model_field::kOpset).add_int64(2, kOpset);
  for (const auto& [key, value] : metadata) {
    pbf_writer property(out, model_field::kMetadata);
    property.add_string(1, key);
    property.add_string(2, value);
  }
  const auto bytes = std::as_bytes(std::span(model));
  return {bytes.begin(), bytes.end()};
}

}  // namespace fedstill
