#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// Builds a graph node by node, inferring input channels and initialising weights as it goes:
// He-normal (fan-in, gain of ReLU) for convolutions and linear layers, variance 1/fan-in for the
// Linear that is the output, 1/0 for BatchNorm, biases 0. Weights are a function of the seed and
// the parameter's name alone. Every method returns the new node's index; names are "conv1", "bn2".
// Methods throw std::invalid_argument where the input does not exist or its shape does not fit.
class GraphBuilder {
 public:
  GraphBuilder(std::string architecture, SampleShape input, std::uint64_t seed);

  struct Conv {
    std::int64_t out = 0;
    std::int64_t kernel = 3;
    std::int64_t stride = 1;
    std::int64_t padding = -1;  // -1: (kernel − 1) / 2
    std::int64_t groups = 1;
    bool bias = true;
  };
  int conv(int input, const Conv& conv);
  int conv_bn(int input, const Conv& conv);  // without bias, followed by BatchNorm
  int conv_bn_relu(int input, const Conv& conv);
  int linear(int input, std::int64_t out);
  int batch_norm(int input);
  int pool(int input, Op kind, std::int64_t kernel,
           std::int64_t stride);  // kMaxPool or kAveragePool
  int dropout(int input, float rate);
  int reshape(int input, SampleShape shape);
  int slice(int input, std::int64_t begin, std::int64_t end);
  int unary(int input, Op op);             // activations, Flatten, GlobalAveragePool, Softmax
  int binary(int left, int right, Op op);  // Add, Mul, Concat (along channels)

  const SampleShape& shape(int node) const;
  Graph finish(int output, std::string output_name = "logits") &&;  // validates

 private:
  int append(Op op, std::vector<int> inputs, Attributes attributes, bool bias = true);
  void add_parameters(Node& node, const SampleShape& input, bool bias);

  Graph graph_;
  std::vector<SampleShape> shapes_;
  std::uint64_t seed_;
};

}  // namespace fedstill
