#include "model/onnx.h"
#include "model/onnx_operators.h"
#include "model/onnx_proto.h"

namespace fedstill {
namespace {

class FloatExport {
 public:
  explicit FloatExport(const Graph& graph) : graph_(graph), shapes_(infer_shapes(graph)) {}

  std::vector<std::byte> encode(const std::map<std::string, std::string>& metadata) {
    values_.push_back(onnx_.claim("images"));
    onnx_.input("images", shapes_[0]);
    for (const auto& [name, node] : graph_.outputs) {
      onnx_.claim(name);
      onnx_.output(name, shapes_[static_cast<std::size_t>(node)]);
    }
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) append(static_cast<int>(i));
    append_aliases();
    return onnx_.finish(graph_.architecture.empty() ? "model" : graph_.architecture, metadata);
  }

 private:
  void append(int index) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    std::vector<std::string> inputs;
    for (const int input : node.inputs) inputs.push_back(values_[static_cast<std::size_t>(input)]);
    if (node.op == Op::kDropout) return values_.push_back(inputs[0]);
    for (const std::string& name : node.parameters) {
      const Tensor& tensor = graph_.tensors.at(name);
      inputs.push_back(
          onnx_.constant(name, onnx_type(tensor.dtype()), tensor.shape(), tensor.bytes()));
    }
    values_.push_back(value_name(index));
    if (node.op != Op::kGlobalAveragePool) {
      return append_operator(onnx_, node, inputs, values_.back());
    }
    const std::string pooled = onnx_.fresh(node.name + "/pooled");
    append_operator(onnx_, node, inputs, pooled);
    onnx_.node("Flatten", std::vector{pooled}, values_.back());
  }

  // A node that is an output writes that name directly.
  std::string value_name(int index) {
    for (const auto& [name, node] : graph_.outputs) {
      if (node == index) return name;
    }
    return onnx_.fresh(graph_.nodes[static_cast<std::size_t>(index)].name);
  }

  // Outputs that no operator writes: second names of a node, a Dropout or the input itself.
  void append_aliases() {
    for (const auto& [name, node] : graph_.outputs) {
      const std::string& value = values_[static_cast<std::size_t>(node)];
      if (value != name) onnx_.node("Identity", std::vector{value}, name);
    }
  }

  const Graph& graph_;
  std::vector<SampleShape> shapes_;
  OnnxWriter onnx_;
  std::vector<std::string> values_;  // ONNX value of every node so far
};

}  // namespace

std::vector<std::byte> encode_onnx(const Graph& graph,
                                   const std::map<std::string, std::string>& metadata) {
  validate(graph);
  return FloatExport(graph).encode(metadata);
}

}  // namespace fedstill
