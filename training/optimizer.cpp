#include "training/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <stdexcept>

namespace fedstill {

namespace {

// The fused kernels walk memory, not indices: gradient and parameter must lie the same way.
at::Tensor aligned_gradient(const at::Tensor& value) {
  const at::Tensor& gradient = value.grad();
  if (gradient.strides() == value.strides()) return gradient;
  return at::empty_like(value).copy_(gradient);
}

// Parameters that share a weight decay, with one list per kind of state the optimizer keeps.
struct Group {
  double weight_decay = 0.0;
  std::vector<at::Tensor> values;
  std::array<std::vector<at::Tensor>, 3> states;
};

// What one step touches: the parameters that have a gradient. Those outside the loss have none.
struct Selection {
  explicit Selection(const Group& group) {
    for (std::size_t i = 0; i < group.values.size(); ++i) {
      if (!group.values[i].grad().defined()) continue;
      values.push_back(group.values[i]);
      gradients.push_back(aligned_gradient(group.values[i]));
      for (std::size_t s = 0; s < states.size(); ++s) {
        if (!group.states[s].empty()) states[s].push_back(group.states[s][i]);
      }
    }
  }
  std::vector<at::Tensor> values, gradients;
  std::array<std::vector<at::Tensor>, 3> states;
};

std::array<Group, 2> group_parameters(std::span<Executor::Parameter> parameters,
                                      double weight_decay) {
  std::array<Group, 2> groups;
  groups[1].weight_decay = weight_decay;
  for (const Executor::Parameter& parameter : parameters) {
    if (parameter.trained) groups[parameter.decays ? 1 : 0].values.push_back(parameter.value);
  }
  return groups;
}

class GroupedOptimizer : public Optimizer {
 public:
  GroupedOptimizer(const OptimizerOptions& options, std::span<Executor::Parameter> parameters)
      : options_(options), groups_(group_parameters(parameters, options.weight_decay)) {}

  void step(double learning_rate_factor) override {
    const at::NoGradGuard no_grad;
    for (const Group& group : groups_) {
      Selection selection(group);
      if (selection.values.empty()) continue;
      update(selection, options_.learning_rate * learning_rate_factor, group.weight_decay);
    }
  }

  // Dropping a gradient lets the next backward pass hand over its own memory instead of adding.
  void zero_gradients() override {
    for (Group& group : groups_) {
      for (at::Tensor& value : group.values) value.mutable_grad().reset();
    }
  }

  std::vector<at::Tensor> state() override {
    std::vector<at::Tensor> all;
    for (const Group& group : groups_) {
      for (const auto& tensors : group.states)
        all.insert(all.end(), tensors.begin(), tensors.end());
    }
    return all;
  }

 protected:
  virtual void update(Selection& selection, double learning_rate, double weight_decay) = 0;

  void add_state_like_values(std::size_t position) {
    for (Group& group : groups_) {
      for (const at::Tensor& value : group.values) {
        group.states[position].push_back(at::zeros_like(value.detach()));
      }
    }
  }
  void add_step_counts(std::size_t position) {
    for (Group& group : groups_) {
      for (std::size_t i = 0; i < group.values.size(); ++i) {
        group.states[position].push_back(at::zeros({}, at::kFloat));
      }
    }
  }

  OptimizerOptions options_;
  std::array<Group, 2> groups_;
};

class Sgd : public GroupedOptimizer {
 public:
  Sgd(const OptimizerOptions& options, std::span<Executor::Parameter> parameters)
      : GroupedOptimizer(options, parameters) {
    if (options.momentum != 0.0) add_state_like_values(0);
  }

 protected:
  // A buffer of zeros makes the first step like all others, so a resumed fit needs no flag.
  void update(Selection& selection, double learning_rate, double weight_decay) override {
    at::_fused_sgd_(selection.values, selection.gradients, selection.states[0], weight_decay,
                    options_.momentum, learning_rate, /*dampening=*/0.0, options_.nesterov,
                    /*maximize=*/false, /*is_first_step=*/false);
  }
};

class Adam : public GroupedOptimizer {
 public:
  Adam(const OptimizerOptions& options, std::span<Executor::Parameter> parameters, bool decoupled)
      : GroupedOptimizer(options, parameters), decoupled_(decoupled) {
    add_state_like_values(0);
    add_state_like_values(1);
    add_step_counts(2);
  }

 protected:
  void update(Selection& selection, double learning_rate, double weight_decay) override {
    auto& [first, second, steps] = selection.states;
    for (at::Tensor& count : steps) *count.mutable_data_ptr<float>() += 1.0F;
    const auto kernel = decoupled_ ? static_cast<Kernel*>(at::_fused_adamw_)
                                   : static_cast<Kernel*>(at::_fused_adam_);
    kernel(selection.values, selection.gradients, first, second, {}, steps, learning_rate,
           options_.beta1, options_.beta2, weight_decay, options_.epsilon, /*amsgrad=*/false,
           /*maximize=*/false, {}, {});
  }

 private:
  using Kernel = void(at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                      at::TensorList, at::TensorList, double, double, double, double, double, bool,
                      bool, const std::optional<at::Tensor>&, const std::optional<at::Tensor>&);
  bool decoupled_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::span<Executor::Parameter> parameters) {
  if (options.name == "sgd") return std::make_unique<Sgd>(options, parameters);
  if (options.name == "adam") return std::make_unique<Adam>(options, parameters, false);
  if (options.name == "adamw") return std::make_unique<Adam>(options, parameters, true);
  throw std::invalid_argument("[optimizer] unknown optimizer '" + options.name +
                              "', expected one of sgd, adam, adamw");
}

double schedule_factor(const ScheduleOptions& options, std::int64_t step,
                       std::int64_t total_steps) {
  const auto warm_up = static_cast<double>(options.warm_up_steps);
  const auto now = static_cast<double>(step), total = static_cast<double>(total_steps);
  if (step < options.warm_up_steps) return (now + 1.0) / warm_up;
  if (options.name == "constant") return 1.0;
  if (options.name == "cosine") {
    const double progress = total > warm_up ? (now - warm_up) / (total - warm_up) : 0.0;
    return 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
  }
  if (options.name == "step") {
    double factor = 1.0;
    for (const double fraction : options.step_at) {
      if (now >= fraction * total) factor *= options.step_factor;
    }
    return factor;
  }
  throw std::invalid_argument("[optimizer] unknown schedule '" + options.name +
                              "', expected one of constant, step, cosine");
}

double clip_gradients(std::span<Executor::Parameter> parameters, double max_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const Executor::Parameter& parameter : parameters) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  }
  double sum = 0.0;
  for (const at::Tensor& norm : at::_foreach_norm(gradients, 2)) {
    const double value = norm.item<float>();
    sum += value * value;
  }
  const double norm = std::sqrt(sum);
  if (norm > max_norm) at::_foreach_mul_(gradients, max_norm / norm);
  return norm;
}

}  // namespace fedstill
