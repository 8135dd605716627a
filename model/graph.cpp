#include "model/graph.h"

#include <stdexcept>
#include <string>

namespace fedstill {
namespace {

constexpr std::array<std::string_view, kOpCount> kNames = {
    "Input",   "Conv2d",    "Linear",      "BatchNorm",         "ReLU",
    "Clip",    "LeakyReLU", "HardSwish",   "HardSigmoid",       "Sigmoid",
    "Tanh",    "MaxPool",   "AveragePool", "GlobalAveragePool", "Add",
    "Mul",     "Concat",    "Slice",       "Flatten",           "Reshape",
    "Dropout", "Upsample",  "Softmax"};

template <typename Names>
std::string listed(const Names& names) {
  std::string text;
  for (const auto& name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace

std::string_view op_name(Op op) {
  const auto index = static_cast<std::size_t>(op);
  if (index >= kNames.size()) throw std::invalid_argument("[graph] unknown operator number");
  return kNames[index];
}

Op op_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Op>(i);
  }
  throw std::invalid_argument("[graph] unknown operator '" + std::string(name) +
                              "', known: " + listed(kNames));
}

int Graph::output(std::string_view name) const {
  const auto found = outputs.find(std::string(name));
  if (found != outputs.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& entry : outputs) known.push_back(entry.first);
  throw std::invalid_argument("[graph] no output '" + std::string(name) +
                              "', known: " + listed(known));
}

int Graph::find(std::string_view node_name) const {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name == node_name) return static_cast<int>(i);
  }
  throw std::invalid_argument("[graph] no node '" + std::string(node_name) + "'");
}

const SampleShape& Graph::input_shape() const { return nodes.at(0).attributes.shape; }

}  // namespace fedstill
