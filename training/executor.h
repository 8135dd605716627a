#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// Eval: running statistics, no dropout. Train: batch statistics, dropout drawn from the generator
// of the call.
enum class Mode { kEval, kTrain };

struct ExecutorOptions {
  bool channels_last = true;  // memory format of images and convolution weights
  bool bf16 = false;      // convolutions and linear layers in bfloat16, master weights in float32
  bool trainable = true;  // parameters require gradients
};

// A graph bound to LibTorch tensors. Owns copies of the graph's tensors; one thread at a time.
class Executor {
 public:
  explicit Executor(const Graph& graph, const ExecutorOptions& options = {});

  // Runs what the wanted nodes need on images [N, C, H, W] (or [N, F]) and returns their values in
  // the order asked for. Dropout in kTrain draws from a generator seeded with dropout_key. Throws
  // std::invalid_argument if the images do not fit the graph's input.
  std::vector<at::Tensor> run(const at::Tensor& images, std::span<const int> wanted, Mode mode,
                              std::uint64_t dropout_key = 0);
  at::Tensor run(const at::Tensor& images, int wanted, Mode mode, std::uint64_t dropout_key = 0);

  struct Parameter {
    std::string name;  // tensor name in the graph
    at::Tensor value;
    bool decays;   // weight decay applies: weights of Conv2d and Linear, not BatchNorm, not bias
    bool trained;  // false: running statistics, or frozen
  };
  std::span<Parameter> parameters() { return parameters_; }
  // Stops gradients to every parameter whose node lies before or at the given one and keeps its
  // BatchNorms in eval mode (for heads on frozen features).
  void freeze_through(int node);

  const Graph& graph() const {
    return graph_;
  }                        // structure; tensors are those given at construction
  Graph snapshot() const;  // structure with the current values

 private:
  Graph graph_;
  ExecutorOptions options_;
  std::vector<Parameter> parameters_;
  std::vector<std::vector<int>> node_parameters_;  // per node, indices into parameters_
  std::vector<bool> frozen_;
};

// True where bfloat16 convolutions were measured to pay on this processor (AMX tiles present).
bool bf16_pays();

}  // namespace fedstill
