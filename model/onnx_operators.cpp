#include "model/onnx_operators.h"

#include <stdexcept>

namespace fedstill {
namespace {

using InputNames = std::vector<std::string>;
using Ints = std::vector<std::int64_t>;
using OnnxAttributes = std::vector<OnnxAttribute>;

Ints both_sides(const std::array<std::int64_t, 2>& pad) { return {pad[0], pad[1], pad[0], pad[1]}; }

Ints pair(const std::array<std::int64_t, 2>& values) { return {values[0], values[1]}; }

OnnxAttributes window(const Attributes& a) {
  return {{"kernel_shape", pair(a.kernel)},
          {"pads", both_sides(a.padding)},
          {"strides", pair(a.stride)}};
}

OnnxAttributes convolution(const Attributes& a) {
  OnnxAttributes attributes = window(a);
  attributes.push_back({"dilations", pair(a.dilation)});
  attributes.push_back({"group", a.groups});
  return attributes;
}

OnnxAttributes average(const Attributes& a) {
  OnnxAttributes attributes = window(a);
  attributes.push_back({"count_include_pad", std::int64_t{1}});
  return attributes;
}

class Appender {
 public:
  Appender(OnnxWriter& onnx, const Node& node, InputNames inputs, const std::string& output)
      : onnx_(onnx), node_(node), inputs_(std::move(inputs)), output_(output) {}

  void plain(const char* op, const OnnxAttributes& attributes = {}) {
    onnx_.node(op, inputs_, output_, attributes);
  }

  void clip() {
    inputs_.push_back(onnx_.scalar(node_.name + "/low", node_.attributes.low));
    inputs_.push_back(onnx_.scalar(node_.name + "/high", node_.attributes.high));
    plain("Clip");
  }

  void slice() {
    const Attributes& a = node_.attributes;
    inputs_.push_back(onnx_.integers(node_.name + "/begin", Ints{a.begin}));
    inputs_.push_back(onnx_.integers(node_.name + "/end", Ints{a.end}));
    inputs_.push_back(onnx_.integers(node_.name + "/axis", Ints{a.axis + 1}));
    plain("Slice");
  }

  void reshape() {
    Ints shape{-1};  // the batch
    shape.insert(shape.end(), node_.attributes.shape.begin(), node_.attributes.shape.end());
    inputs_.push_back(onnx_.integers(node_.name + "/shape", shape));
    plain("Reshape");
  }

  void upsample() {
    const auto scale = static_cast<float>(node_.attributes.scale);
    inputs_.push_back("");  // no region of interest
    inputs_.push_back(
        onnx_.floats(node_.name + "/factors", std::vector<float>{1.0F, 1.0F, scale, scale}));
    plain("Resize", {{"mode", std::string("nearest")},
                     {"coordinate_transformation_mode", std::string("asymmetric")},
                     {"nearest_mode", std::string("floor")}});
  }

 private:
  OnnxWriter& onnx_;
  const Node& node_;
  InputNames inputs_;
  const std::string& output_;
};

}  // namespace

void append_operator(OnnxWriter& onnx, const Node& node, const InputNames& inputs,
                     const std::string& output) {
  const Attributes& a = node.attributes;
  Appender append(onnx, node, inputs, output);
  switch (node.op) {
    case Op::kInput:
    case Op::kDropout:
      return;
    case Op::kConv2d:
      return append.plain("Conv", convolution(a));
    case Op::kLinear:
      return append.plain("Gemm", {{"transB", std::int64_t{1}}});
    case Op::kBatchNorm:
      return append.plain("BatchNormalization", {{"epsilon", a.epsilon}});
    case Op::kReLU:
      return append.plain("Relu");
    case Op::kClip:
      return append.clip();
    case Op::kLeakyReLU:
      return append.plain("LeakyRelu", {{"alpha", a.slope}});
    case Op::kHardSwish:
      return append.plain("HardSwish");
    case Op::kHardSigmoid:
      return append.plain("HardSigmoid", {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
    case Op::kSigmoid:
      return append.plain("Sigmoid");
    case Op::kTanh:
      return append.plain("Tanh");
    case Op::kMaxPool:
      return append.plain("MaxPool", window(a));
    case Op::kAveragePool:
      return append.plain("AveragePool", average(a));
    case Op::kGlobalAveragePool:
      return append.plain("GlobalAveragePool");
    case Op::kAdd:
      return append.plain("Add");
    case Op::kMul:
      return append.plain("Mul");
    case Op::kConcat:
      return append.plain("Concat", {{"axis", a.axis + 1}});
    case Op::kSlice:
      return append.slice();
    case Op::kFlatten:
      return append.plain("Flatten", {{"axis", std::int64_t{1}}});
    case Op::kReshape:
      return append.reshape();
    case Op::kUpsample:
      return append.upsample();
    case Op::kSoftmax:
      return append.plain("Softmax", {{"axis", a.axis + 1}});
  }
}

OnnxType onnx_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return OnnxType::kFloat;
    case DType::kI32:
      return OnnxType::kInt32;
    case DType::kI8:
      return OnnxType::kInt8;
    case DType::kU8:
      return OnnxType::kUint8;
    case DType::kI64:
      return OnnxType::kInt64;
  }
  throw std::invalid_argument("[onnx] unknown element type");
}

}  // namespace fedstill
