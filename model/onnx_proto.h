#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// TensorProto.DataType of the ONNX standard.
enum class OnnxType : std::int32_t { kFloat = 1, kUint8 = 2, kInt8 = 3, kInt32 = 6, kInt64 = 7 };

struct OnnxAttribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

// Collects the parts of one ONNX graph and encodes them as a ModelProto (opset 17, IR 8). The same
// calls give the same bytes. Values, nodes and initializers share one name space.
class OnnxWriter {
 public:
  // Takes exactly this name; throws std::invalid_argument if it is taken.
  std::string claim(const std::string& name);
  // Takes the name, or the first free one of name_1, name_2, …
  std::string fresh(const std::string& name);

  // Adds an initializer under a fresh name and returns that name. Dims {} is a scalar.
  std::string constant(const std::string& name, OnnxType type, std::span<const std::int64_t> dims,
                       std::span<const std::byte> bytes);
  std::string scalar(const std::string& name, float value);
  std::string scalar(const std::string& name, std::uint8_t value);
  std::string floats(const std::string& name, std::span<const float> values);
  std::string integers(const std::string& name, std::span<const std::int64_t> values);

  // Adds an operator; the node is named after its output. Inputs must exist already.
  void node(const std::string& op, std::span<const std::string> inputs, const std::string& output,
            std::span<const OnnxAttribute> attributes = {});

  // Float tensors with the symbolic batch dimension "N" before the sample shape.
  void input(const std::string& name, const SampleShape& shape);
  void output(const std::string& name, const SampleShape& shape);

  std::vector<std::byte> finish(const std::string& graph_name,
                                const std::map<std::string, std::string>& metadata) const;

 private:
  std::set<std::string> names_;
  std::string nodes_, initializers_, inputs_, outputs_;  // encoded fields of the GraphProto
};

}  // namespace fedstill
