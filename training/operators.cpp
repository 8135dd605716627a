#include "training/operators.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <stdexcept>
#include <vector>

#include "training/batch_norm_relu.h"
#include "training/shared_batch_norm.h"

namespace fedstill {

namespace {

// bfloat16 images make bfloat16 layers; the weights keep a float32 master copy.
at::Tensor like(const at::Tensor& parameter, const at::Tensor& input) {
  return parameter.scalar_type() == input.scalar_type() ? parameter
                                                        : parameter.to(input.scalar_type());
}

at::Tensor bias_of(const OperatorCall& call) {
  return call.parameters.size() > 1 ? like(call.parameters[1], call.inputs[0]) : at::Tensor();
}

at::Tensor conv2d(const OperatorCall& call) {
  const Attributes& a = call.node.attributes;
  return at::conv2d(call.inputs[0], like(call.parameters[0], call.inputs[0]), bias_of(call),
                    a.stride, a.padding, a.dilation, a.groups);
}

at::Tensor linear(const OperatorCall& call) {
  return at::linear(call.inputs[0], like(call.parameters[0], call.inputs[0]), bias_of(call));
}

at::Tensor batch_norm(const OperatorCall& call) {
  if (call.group != nullptr && call.training) {
    at::Tensor result = shared_batch_norm(
        call.inputs[0],
        {call.parameters[0], call.parameters[1], call.parameters[2], call.parameters[3]},
        call.node.attributes.epsilon, *call.group, call.wire);
    return call.rectify ? result.relu() : result;
  }
  if (call.rectify && call.training && fits_batch_norm_relu(call.inputs[0])) {
    return batch_norm_relu(
        call.inputs[0],
        {call.parameters[0], call.parameters[1], call.parameters[2], call.parameters[3]},
        call.node.attributes.epsilon);
  }
  at::Tensor result =
      at::batch_norm(call.inputs[0], call.parameters[0], call.parameters[1], call.parameters[2],
                     call.parameters[3], call.training, /*momentum=*/0.1,
                     call.node.attributes.epsilon, /*cudnn_enabled=*/!call.inputs[0].is_cpu());
  return call.rectify ? result.relu_() : result;
}

at::Tensor max_pool(const OperatorCall& call) {
  const Attributes& a = call.node.attributes;
  at::Tensor result = at::max_pool2d(call.inputs[0], a.kernel, a.stride, a.padding);
  return call.rectify ? result.relu_() : result;
}

at::Tensor average_pool(const OperatorCall& call) {
  const Attributes& a = call.node.attributes;
  return at::avg_pool2d(call.inputs[0], a.kernel, a.stride, a.padding, /*ceil_mode=*/false,
                        /*count_include_pad=*/true);
}

at::Tensor dropout(const OperatorCall& call) {
  const at::Tensor& x = call.inputs[0];
  const double keep = 1.0 - static_cast<double>(call.node.attributes.rate);
  if (!call.training || keep == 1.0) return x;
  at::Tensor mask = at::empty_like(x).bernoulli_(keep, call.generator);
  if (keep > 0.0) mask.div_(keep);
  return at::mul(x, mask);
}

// Sample shape → shape of a batch.
at::Tensor reshape(const OperatorCall& call) {
  std::vector<std::int64_t> shape{call.inputs[0].size(0)};
  shape.insert(shape.end(), call.shape.begin(), call.shape.end());
  return call.inputs[0].reshape(shape);
}

at::Tensor global_average_pool(const OperatorCall& call) {
  return call.inputs[0].mean({2, 3}, /*keepdim=*/call.shape.size() == 3);
}

at::Tensor upsample(const OperatorCall& call) {
  return at::upsample_nearest2d(call.inputs[0], {call.shape[1], call.shape[2]});
}

at::Tensor slice(const OperatorCall& call) {
  const Attributes& a = call.node.attributes;
  return call.inputs[0].narrow(a.axis + 1, a.begin, a.end - a.begin);
}

at::Tensor concat(const OperatorCall& call) {
  const std::vector<at::Tensor> parts(call.inputs.begin(), call.inputs.end());
  return at::cat(parts, call.node.attributes.axis + 1);
}

at::Tensor add(const OperatorCall& call) {
  at::Tensor left = call.inputs[0];
  if (call.overwrite && left.sizes() == call.inputs[1].sizes()) return left.add_(call.inputs[1]);
  return at::add(left, call.inputs[1]);
}

at::Tensor relu(const OperatorCall& call) {
  at::Tensor x = call.inputs[0];
  return call.overwrite ? x.relu_() : at::relu(x);
}

// Gradients of these read the input, so writing over it pays only where nothing is recorded.
bool overwrites_unrecorded(const OperatorCall& call) {
  return call.overwrite && !(at::GradMode::is_enabled() && call.inputs[0].requires_grad());
}

at::Tensor clip(const OperatorCall& call) {
  at::Tensor x = call.inputs[0];
  const Attributes& a = call.node.attributes;
  return overwrites_unrecorded(call) ? at::clamp_(x, a.low, a.high) : at::clamp(x, a.low, a.high);
}

at::Tensor hard_swish(const OperatorCall& call) {
  at::Tensor x = call.inputs[0];
  return overwrites_unrecorded(call) ? at::hardswish_(x) : at::hardswish(x);
}

}  // namespace

bool leaves_result_free(Op op) {
  switch (op) {
    case Op::kConv2d:
    case Op::kLinear:
    case Op::kBatchNorm:
    case Op::kMaxPool:
    case Op::kAveragePool:
    case Op::kGlobalAveragePool:
    case Op::kAdd:
    case Op::kMul:
    case Op::kConcat:
    case Op::kUpsample:
      return true;
    case Op::kInput:
    case Op::kReLU:
    case Op::kClip:
    case Op::kLeakyReLU:
    case Op::kHardSwish:
    case Op::kHardSigmoid:
    case Op::kSigmoid:
    case Op::kTanh:
    case Op::kSlice:
    case Op::kFlatten:
    case Op::kReshape:
    case Op::kDropout:
    case Op::kSoftmax:
      return false;
  }
  return false;
}

at::Tensor apply_operator(const OperatorCall& call) {
  switch (call.node.op) {
    case Op::kInput:
      break;
    case Op::kConv2d:
      return conv2d(call);
    case Op::kLinear:
      return linear(call);
    case Op::kBatchNorm:
      return batch_norm(call);
    case Op::kReLU:
      return relu(call);
    case Op::kClip:
      return clip(call);
    case Op::kLeakyReLU:
      return at::leaky_relu(call.inputs[0], call.node.attributes.slope);
    case Op::kHardSwish:
      return hard_swish(call);
    case Op::kHardSigmoid:
      return at::hardsigmoid(call.inputs[0]);
    case Op::kSigmoid:
      return at::sigmoid(call.inputs[0]);
    case Op::kTanh:
      return at::tanh(call.inputs[0]);
    case Op::kMaxPool:
      return max_pool(call);
    case Op::kAveragePool:
      return average_pool(call);
    case Op::kGlobalAveragePool:
      return global_average_pool(call);
    case Op::kAdd:
      return add(call);
    case Op::kMul:
      return at::mul(call.inputs[0], call.inputs[1]);
    case Op::kConcat:
      return concat(call);
    case Op::kSlice:
      return slice(call);
    case Op::kFlatten:
    case Op::kReshape:
      return reshape(call);
    case Op::kDropout:
      return dropout(call);
    case Op::kUpsample:
      return upsample(call);
    case Op::kSoftmax:
      return at::softmax(call.inputs[0], call.node.attributes.axis + 1);
  }
  throw std::logic_error("[executor] node '" + call.node.name + "' has no operator to apply");
}

}  // namespace fedstill
