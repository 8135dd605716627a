#pragma once

#include <string>

#include "model/graph.h"
#include "model/zoo.h"

namespace fedstill {

// Builds a graph node by node, inferring input channels and initialising weights as it goes:
// He-normal (fan-in, gain of ReLU) for convolutions and linear layers, 1/0 for BatchNorm. Every
// method returns the new node's index. Names are made unique and readable.
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
  int append(Node node, const char* prefix);
  std::string parameter(const Node& node, const char* suffix, Tensor value);
  Graph graph_;
  std::vector<SampleShape> shapes_;
  std::uint64_t seed_;
};

}  // namespace fedstill
