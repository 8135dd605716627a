#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "training/executor.h"

namespace fedstill {

struct OptimizerOptions {
  std::string name = "sgd";  // "sgd", "adam", "adamw"
  double learning_rate = 0.05;
  double momentum = 0.9;  // sgd
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.0;  // spares BatchNorm and bias
};

// How the learning rate moves over all steps of a fit; multiplies OptimizerOptions::learning_rate.
struct ScheduleOptions {
  std::string name = "cosine";     // "constant", "step", "cosine"
  std::int64_t warm_up_steps = 0;  // linear from zero
  double step_factor = 0.1;        // "step": multiplied at each of these fractions of the run
  std::vector<double> step_at{0.5, 0.75};
};
// Throws std::invalid_argument for an unknown name, listing the known ones.
double schedule_factor(const ScheduleOptions& options, std::int64_t step, std::int64_t total_steps);

// Updates parameters in place from their gradients with ATen's fused kernels.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  void step(double learning_rate_factor) {
    set_rate(learning_rate_factor);
    update();
  }
  // The two halves of a step; a recorded update() takes the rate that was set last.
  virtual void set_rate(double learning_rate_factor) = 0;
  virtual void update() = 0;
  virtual void zero_gradients() = 0;
  // Everything beyond the parameters that an exact resume needs, in a fixed order; the tensors
  // share memory with the optimizer.
  virtual std::vector<at::Tensor> state() = 0;
};
// recordable: learning rate and step counts are tensors beside the parameters, and update() reads
// and writes nothing else, so that a device can replay it; the same bits.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::span<Executor::Parameter> parameters,
                                          bool recordable = false);

// Scales all gradients so that their joint L2 norm is at most max_norm; returns the norm before.
double clip_gradients(std::span<Executor::Parameter> parameters, double max_norm);
// The same without looking at any value: a norm that is not finite makes the gradients so.
void clip_gradients_unseen(std::span<Executor::Parameter> parameters, double max_norm);

}  // namespace fedstill
