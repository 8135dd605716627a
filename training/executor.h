#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/graph.h"
#include "training/plan.h"

namespace fedstill {

class Collective;

// Eval: running statistics, no dropout. Train: batch statistics, dropout drawn from the generator
// of the call.
enum class Mode { kEval, kTrain };

struct ExecutorOptions {
  bool channels_last = true;  // memory format of images and convolution weights
  bool bf16 = false;      // convolutions and linear layers in bfloat16, master weights in float32
  bool trainable = true;  // parameters require gradients
  at::Device device = at::kCPU;  // where the parameters live and everything is computed
};

// A graph bound to LibTorch tensors. Owns copies of the graph's tensors; one thread at a time.
// BatchNorm follows PyTorch: momentum 0.1, unbiased running variance. AveragePool counts padding.
class Executor {
 public:
  // Throws std::invalid_argument as validate() does.
  explicit Executor(const Graph& graph, const ExecutorOptions& options = {});
  Executor(Executor&&) = default;
  Executor& operator=(Executor&&) = default;

  // Runs what the wanted nodes need on images [N, C, H, W] (or [N, F]) and returns their values in
  // the order asked for, on the executor's device, wherever the images are. Dropout in kTrain draws
  // from a generator seeded with dropout_key. Throws std::invalid_argument if the images do not fit
  // the graph's input.
  std::vector<at::Tensor> run(const at::Tensor& images, std::span<const int> wanted, Mode mode,
                              std::uint64_t dropout_key = 0);
  at::Tensor run(const at::Tensor& images, int wanted, Mode mode, std::uint64_t dropout_key = 0);

  struct Parameter {
    std::string name;  // tensor name in the graph
    at::Tensor value;
    bool decays;   // weight decay applies: weights of Conv2d and Linear, not BatchNorm, not bias
    bool trained;  // false: running statistics
  };
  std::span<Parameter> parameters() { return parameters_; }
  // BatchNorm in kTrain measures over these ranks, which all run the same, instead of over this
  // one's images; null: over this one's. Requires: the group outlives the runs and their gradients.
  // wire: whose memory the group exchanges, the host's or that of the executor's device.
  void measure_over(Collective* group, at::Device wire = at::kCPU) {
    group_ = group;
    wire_ = wire;
  }

  // Structure; the tensors are those given at construction.
  const Graph& graph() const { return graph_; }
  at::Device device() const { return options_.device; }
  bool draws() const;      // a run in kTrain draws random numbers
  Graph snapshot() const;  // structure with the current values

 private:
  int bind(const Node& node, std::size_t position);  // index of the bound parameter
  at::Tensor prepare(const at::Tensor& images) const;
  at::Generator generator(std::uint64_t key);
  at::Tensor evaluate(int node, std::vector<at::Tensor>& values, Mode mode,
                      at::Generator& generator);

  Graph graph_;
  ExecutorOptions options_;
  std::vector<SampleShape> shapes_;
  std::vector<Parameter> parameters_;
  std::vector<std::vector<int>> node_parameters_;  // per node, indices into parameters_
  ExecutionPlan plan_;                             // of the last set of wanted nodes
  Collective* group_ = nullptr;
  at::Device wire_ = at::kCPU;
  at::Generator device_generator_;  // the cpu's is made anew for every run
};

// True on processors with AMX tiles, where bfloat16 convolutions are known to pay in PyTorch (not
// measured with this executor). With AVX-512 bfloat16 instructions alone they were measured not to:
// cnn3 and lenet5 train at 0.7 times the speed of float32, so there it is false.
bool bf16_pays();

}  // namespace fedstill
