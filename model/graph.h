#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/tensor.h"

namespace fedstill {

// The closed set of operators. A switch over Op has no default, so that the compiler names every
// walk that a new operator must be added to. Persisted by name (see op_name).
enum class Op : std::uint8_t {
  kInput,
  kConv2d,
  kLinear,
  kBatchNorm,
  kReLU,
  kClip,
  kLeakyReLU,
  kHardSwish,    // x · HardSigmoid(x)
  kHardSigmoid,  // clip(x / 6 + 1/2, 0, 1)
  kSigmoid,
  kTanh,
  kMaxPool,
  kAveragePool,
  kGlobalAveragePool,
  kAdd,
  kMul,
  kConcat,
  kSlice,
  kFlatten,
  kReshape,
  kDropout,
  kUpsample,  // nearest neighbour
  kSoftmax,
};
inline constexpr int kOpCount = 23;

std::string_view op_name(Op op);         // "Conv2d", "ReLU", …
Op op_from_name(std::string_view name);  // throws std::invalid_argument listing the known names

// Shape of one sample, without the batch dimension: {C, H, W} for images, {F} for vectors, {} for
// one scalar per sample.
using SampleShape = std::vector<std::int64_t>;

// Every attribute any operator has; each operator reads its own and ignores the rest (the comment
// names the readers).
struct Attributes {
  std::array<std::int64_t, 2> kernel{1, 1};    // Conv2d, MaxPool, AveragePool: height, width
  std::array<std::int64_t, 2> stride{1, 1};    // the same
  std::array<std::int64_t, 2> padding{0, 0};   // the same; zeros (−inf for MaxPool) on both sides
  std::array<std::int64_t, 2> dilation{1, 1};  // Conv2d
  std::int64_t groups = 1;                     // Conv2d
  std::int64_t out_features = 0;               // Conv2d: output channels; Linear: output features
  float epsilon = 1e-5F;                       // BatchNorm
  float low = 0.0F, high = 6.0F;               // Clip; high only matters there
  float slope = 0.01F;                         // LeakyReLU
  float rate = 0.5F;                           // Dropout: probability of a zero
  std::int64_t axis = 0;  // Concat, Slice, Softmax: axis of the sample shape (0 = channels)
  std::int64_t begin = 0, end = 0;  // Slice: [begin, end) along axis
  std::int64_t scale = 2;           // Upsample: integer factor for height and width
  SampleShape shape{};              // Input: the sample shape; Reshape: the new sample shape

  bool operator==(const Attributes&) const = default;
};

// One operator. Inputs are indices of earlier nodes, so a graph is topologically sorted by
// construction. Parameters are names into Graph::tensors, in this order:
//   Conv2d: weight [out, in/groups, kh, kw], then bias [out] if present. Linear: weight [out, in],
//   then bias [out] if present. BatchNorm: weight, bias, running_mean, running_var, each [C].
//   Others: none.
// No two nodes share a tensor. Add and Mul need equal shapes; AveragePool counts its padding; pools
// and convolutions round their output size down.
struct Node {
  std::string name{};
  Op op = Op::kInput;
  std::vector<int> inputs{};
  std::vector<std::string> parameters{};
  Attributes attributes{};

  bool operator==(const Node&) const = default;
};

// A model: operators plus named tensors, nothing to execute on arrival. Node 0 is the only Input.
struct Graph {
  std::string architecture;  // where it came from, for people: "resnet8"
  std::vector<Node> nodes;
  // Name → node index: "logits" [N, C]; a client's update also has "confidence" [N].
  std::map<std::string, int> outputs;
  std::map<std::string, Tensor> tensors;

  int output(std::string_view name) const;     // throws std::invalid_argument listing the outputs
  int find(std::string_view node_name) const;  // throws std::invalid_argument
  const SampleShape& input_shape() const;      // Requires: validated

  bool operator==(const Graph&) const = default;
};

// Sizes a graph from outside may not exceed.
struct GraphLimits {
  std::size_t max_nodes = 4096;
  std::int64_t max_dimension = 1 << 20;               // any dimension of any shape
  std::int64_t max_elements = std::int64_t{1} << 31;  // of any tensor or activation of one sample
};

// Checks everything a walk relies on: one Input first, inputs earlier than the node, arity,
// parameter names and shapes, attribute ranges, unique names, outputs present. Throws
// std::invalid_argument: "[graph] node 'conv1' (Conv2d): …".
void validate(const Graph& graph, const GraphLimits& limits = {});

// Sample shape of every node, in node order. Throws as validate() does, naming the node whose input
// does not fit (an image smaller than the kernel). Does not look at element types: for quantized
// weights too.
std::vector<SampleShape> infer_shapes(const Graph& graph, const GraphLimits& limits = {});

}  // namespace fedstill
