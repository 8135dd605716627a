#include "tests/support/wire_graphs.h"

#include <algorithm>

namespace fedstill::sample {
namespace {

constexpr int kPeriod = 211;

// Values between −1 and 1 that differ from element to element.
Tensor floats(std::vector<std::int64_t> shape, int key, float scale = 1.0F) {
  Tensor tensor(DType::kF32, std::move(shape));
  int i = key * 37;
  for (float& value : tensor.values<float>()) {
    value = scale * (static_cast<float>((i += 97) % kPeriod) / 105.0F - 1.0F);
  }
  return tensor;
}

Tensor positive(std::vector<std::int64_t> shape, int key) {
  Tensor tensor = floats(std::move(shape), key);
  for (float& value : tensor.values<float>()) value = 1.0F + 0.5F * value;
  return tensor;
}

class Sketch {
 public:
  explicit Sketch(SampleShape image) {
    graph.architecture = "sample";
    add("input", Op::kInput, {}, {.shape = std::move(image)});
  }

  int add(const std::string& name, Op op, std::vector<int> inputs, Attributes attributes = {}) {
    graph.nodes.push_back({name, op, std::move(inputs), {}, std::move(attributes)});
    return static_cast<int>(graph.nodes.size()) - 1;
  }

  void parameter(int node, const char* suffix, Tensor value) {
    Node& owner = graph.nodes[static_cast<std::size_t>(node)];
    owner.parameters.push_back(owner.name + "." + suffix);
    graph.tensors[owner.parameters.back()] = std::move(value);
  }

  int linear(const std::string& name, int input, std::int64_t in, std::int64_t out) {
    const int node = add(name, Op::kLinear, {input}, {.out_features = out});
    parameter(node, "weight", floats({out, in}, node, 0.3F));
    parameter(node, "bias", floats({out}, node + 1));
    return node;
  }

  int conv(const std::string& name, int input, std::int64_t in, Attributes a, bool bias = true) {
    const int node = add(name, Op::kConv2d, {input}, a);
    parameter(node, "weight",
              floats({a.out_features, in / a.groups, a.kernel[0], a.kernel[1]}, node, 0.4F));
    if (bias) parameter(node, "bias", floats({a.out_features}, node + 1));
    return node;
  }

  int batch_norm(const std::string& name, int input, std::int64_t channels) {
    const int node = add(name, Op::kBatchNorm, {input}, {.epsilon = 1e-3F});
    parameter(node, "weight", positive({channels}, node));
    parameter(node, "bias", floats({channels}, node + 1));
    parameter(node, "running_mean", floats({channels}, node + 2));
    parameter(node, "running_var", positive({channels}, node + 3));
    return node;
  }

  Graph graph;
};

int image_part(Sketch& s) {
  const int conv = s.conv("conv", 0, 3, {.kernel = {3, 3}, .padding = {1, 1}, .out_features = 4});
  const int relu = s.add("relu", Op::kReLU, {s.batch_norm("norm", conv, 4)});
  const int depthwise = s.conv(
      "depthwise", relu, 4,
      {.kernel = {3, 3}, .padding = {2, 2}, .dilation = {2, 2}, .groups = 4, .out_features = 4},
      false);
  const int clip = s.add("clip", Op::kClip, {depthwise}, {.low = -0.25F, .high = 0.7F});
  const int sum = s.add("sum", Op::kAdd, {relu, clip});
  const int pool =
      s.add("pool", Op::kMaxPool, {sum}, {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
  const int up = s.add("up", Op::kUpsample, {pool}, {.scale = 2});
  const int product = s.add("product", Op::kMul, {up, sum});
  const int leaky = s.add("leaky", Op::kLeakyReLU, {product}, {.slope = 0.1F});
  const int hard = s.add("hard", Op::kHardSwish, {product});
  const int both = s.add("both", Op::kConcat, {leaky, hard}, {.axis = 0});
  const int part = s.add("part", Op::kSlice, {both}, {.axis = 0, .begin = 2, .end = 6});
  return s.add("average", Op::kAveragePool, {part},
               {.kernel = {2, 2}, .stride = {2, 2}, .padding = {1, 1}});
}

}  // namespace

Graph every_operator() {
  Sketch s({3, 8, 8});
  const int image = image_part(s);  // [4, 5, 5]
  const int folded = s.add("folded", Op::kReshape, {image}, {.shape = {4, 25}});
  const int soft = s.add("soft", Op::kSoftmax, {folded}, {.axis = 1});
  const int squashed = s.add("squashed", Op::kTanh, {s.add("flat", Op::kFlatten, {soft})});
  const int dropped = s.add("dropped", Op::kDropout, {squashed}, {.rate = 0.25F});
  const int logits = s.linear("classifier", dropped, 100, 6);
  const int gate = s.add("gate", Op::kHardSigmoid, {image});
  const int mean = s.add("mean", Op::kGlobalAveragePool, {gate});
  const int sure = s.add("sure", Op::kSigmoid, {s.linear("head", mean, 4, 1)});
  const int scalar = s.add("scalar", Op::kReshape, {sure}, {.shape = {}});
  s.graph.outputs = {{"logits", logits}, {"confidence", scalar}};
  return s.graph;
}

Graph tiny() {
  Sketch s({1, 4, 4});
  const int conv = s.conv("conv", 0, 1, {.kernel = {3, 3}, .out_features = 2});
  const int relu = s.add("relu", Op::kReLU, {conv});
  const int mean = s.add("mean", Op::kGlobalAveragePool, {relu});
  s.graph.outputs = {{"logits", s.linear("classifier", mean, 2, 2)}};
  return s.graph;
}

namespace {

// Codes and scales in place of the float parameters; the activations are made up.
QuantizedGraph quantize(const Graph& graph) {
  QuantizedGraph result{.scheme = "w8a8", .graph = graph};
  for (const Node& node : graph.nodes) {
    const auto channels = static_cast<std::size_t>(node.attributes.out_features);
    for (std::size_t i = 0; i < node.parameters.size(); ++i) {
      const Tensor& real = graph.tensors.at(node.parameters[i]);
      Tensor codes(i == 0 ? DType::kI8 : DType::kI32, real.shape());
      const auto values = real.values<float>();
      for (std::size_t k = 0; k < values.size(); ++k) {
        if (i == 0) codes.values<std::int8_t>()[k] = static_cast<std::int8_t>(values[k] * 250.0F);
        if (i == 1) codes.values<std::int32_t>()[k] = static_cast<std::int32_t>(values[k] * 2e3F);
      }
      result.graph.tensors[node.parameters[i]] = codes;
      if (i > 0) continue;
      for (std::size_t k = 0; k < channels; ++k) {
        result.weight_scales[node.parameters[0]].push_back(0.004F + 1e-4F * static_cast<float>(k));
      }
    }
  }
  return result;
}

}  // namespace

QuantizedGraph quantized() {
  Sketch s({2, 6, 6});
  const Attributes same{.kernel = {3, 3}, .padding = {1, 1}, .out_features = 4};
  const int first = s.add("relu1", Op::kReLU, {s.conv("conv1", 0, 2, same)});
  const int second =
      s.add("clip2", Op::kClip, {s.conv("conv2", first, 4, same)}, {.low = 0.0F, .high = 1.5F});
  const int third = s.conv("conv3", second, 4, same, false);
  const int sum = s.add("relu3", Op::kReLU, {s.add("sum", Op::kAdd, {first, third})});
  const int pool = s.add("pool", Op::kMaxPool, {sum}, {.kernel = {2, 2}, .stride = {2, 2}});
  const int both = s.add("both", Op::kConcat, {pool, pool}, {.axis = 0});
  const int flat = s.add("flat", Op::kFlatten, {both});
  const int hidden = s.add("relu4", Op::kReLU, {s.linear("hidden", flat, 72, 5)});
  s.graph.outputs = {{"logits", s.linear("classifier", hidden, 5, 3)}};

  QuantizedGraph result = quantize(s.graph);
  const ActivationScale signed_image{0.0125F, 120}, a{0.02F, 0}, b{1.5F / 255.0F, 0},
      c{0.025F, 131}, d{0.022F, 0}, e{0.027F, 0}, logits{0.1F, 128};
  //              input         conv1 relu1 conv2 clip2 conv3 sum relu3 pool both flat hidden relu4
  result.activations = {signed_image, a, a, b, b, c, d, d, d, d, d, e, e, logits};
  return result;
}

}  // namespace fedstill::sample
