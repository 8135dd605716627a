#include "launch/inspect_onnx.h"

#include <cstdint>
#include <string>
#include <vector>

#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/text_table.h"

namespace fedstill {
namespace {

using nlohmann::json;

std::string onnx_shape_text(const OnnxTensorInfo& tensor) {
  std::string out;
  for (const auto& size : tensor.shape) out += (out.empty() ? "" : "×") + size;
  return out.empty() ? "scalar" : out;
}

json tensor_json(const OnnxTensorInfo& tensor) {
  return {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}};
}

json list_json(const std::vector<OnnxTensorInfo>& tensors) {
  json out = json::array();
  for (const auto& tensor : tensors) out.push_back(tensor_json(tensor));
  return out;
}

std::string ends_text(const char* what, const std::vector<OnnxTensorInfo>& tensors) {
  std::string out;
  for (const auto& tensor : tensors) {
    out += std::string(what) + " " + printable(tensor.name) + ": " + tensor.type + " " +
           printable(onnx_shape_text(tensor)) + "\n";
  }
  return out;
}

}  // namespace

Inspection inspect_onnx(const OnnxSummary& s) {
  std::int64_t nodes = 0, bytes = 0;
  std::vector<std::vector<std::string>> operators{{"operator", "", "nodes"}};
  for (const auto& [name, count] : s.operators) {
    nodes += count;
    operators.push_back({name, "", grouped(count)});
  }
  operators.push_back({"total", "", grouped(nodes)});
  json initializers = json::array();
  std::vector<std::vector<std::string>> rows{{"initializer", "type", "shape", "bytes"}};
  for (const auto& tensor : s.initializers) {
    bytes += tensor.bytes;
    rows.push_back({tensor.name, tensor.type, onnx_shape_text(tensor), grouped(tensor.bytes)});
    initializers.push_back(tensor_json(tensor));
    initializers.back()["bytes"] = tensor.bytes;
  }
  rows.push_back({"total", "", "", grouped(bytes)});
  return {{{"opset", s.opset},
           {"ir_version", s.ir_version},
           {"producer", s.producer},
           {"graph", s.graph},
           {"inputs", list_json(s.inputs)},
           {"outputs", list_json(s.outputs)},
           {"operators", s.operators},
           {"initializers", initializers},
           {"metadata", s.metadata},
           {"total", {{"nodes", nodes}, {"initializer_bytes", bytes}}}},
          text_table(operators) + "\n" + text_table(rows) + "\nopset " + std::to_string(s.opset) +
              ", IR " + std::to_string(s.ir_version) + ", by " + printable(s.producer) +
              ", graph " + printable(s.graph) + "\n" + ends_text("input", s.inputs) +
              ends_text("output", s.outputs)};
}

}  // namespace fedstill
