#include "training/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
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

std::vector<at::Tensor> gradients_of(std::span<Executor::Parameter> parameters) {
  std::vector<at::Tensor> gradients;
  for (const Executor::Parameter& parameter : parameters) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  }
  return gradients;
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
  GroupedOptimizer(const OptimizerOptions& options, std::span<Executor::Parameter> parameters,
                   bool recordable)
      : options_(options), groups_(group_parameters(parameters, options.weight_decay)) {
    if (recordable && !parameters.empty()) {
      rate_tensor_ = at::zeros({}, beside(parameters.front().value));
    }
  }

  void set_rate(double learning_rate_factor) override {
    rate_ = options_.learning_rate * learning_rate_factor;
    if (is_recordable()) rate_tensor_.fill_(rate_);
  }

  void update() override {
    const at::NoGradGuard no_grad;
    for (const Group& group : groups_) {
      Selection selection(group);
      if (!selection.values.empty()) update(selection, group.weight_decay);
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
  virtual void update(Selection& selection, double weight_decay) = 0;

  bool is_recordable() const { return rate_tensor_.defined(); }
  static at::TensorOptions beside(const at::Tensor& value) {
    return at::TensorOptions(at::kFloat).device(value.device());
  }

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
        group.states[position].push_back(at::zeros({}, beside(group.values[i])));
      }
    }
  }

  OptimizerOptions options_;
  std::array<Group, 2> groups_;
  double rate_ = 0.0;
  at::Tensor rate_tensor_;  // the same, where updates are recorded
};

class Sgd : public GroupedOptimizer {
 public:
  Sgd(const OptimizerOptions& options, std::span<Executor::Parameter> parameters, bool recordable)
      : GroupedOptimizer(options, parameters, recordable) {
    if (options.momentum != 0.0) add_state_like_values(0);
  }

 protected:
  // A buffer of zeros makes the first step like all others, so a resumed fit needs no flag.
  void update(Selection& selection, double weight_decay) override {
    const auto with = [&](const auto& rate) {
      at::_fused_sgd_(selection.values, selection.gradients, selection.states[0], weight_decay,
                      options_.momentum, rate, /*dampening=*/0.0, options_.nesterov,
                      /*maximize=*/false, /*is_first_step=*/false);
    };
    is_recordable() ? with(rate_tensor_) : with(rate_);
  }
};

class Adam : public GroupedOptimizer {
 public:
  Adam(const OptimizerOptions& options, std::span<Executor::Parameter> parameters, bool recordable)
      : GroupedOptimizer(options, parameters, recordable), decoupled_(options.name == "adamw") {
    add_state_like_values(0);
    add_state_like_values(1);
    add_step_counts(2);
  }

 protected:
  void update(Selection& selection, double weight_decay) override {
    count(selection.states[2]);
    is_recordable() ? apply<const at::Tensor&>(selection, rate_tensor_, weight_decay)
                    : apply<double>(selection, rate_, weight_decay);
  }

 private:
  template <typename Rate>
  using Kernel = void(at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                      at::TensorList, at::TensorList, Rate, double, double, double, double, bool,
                      bool, const std::optional<at::Tensor>&, const std::optional<at::Tensor>&);

  void count(std::vector<at::Tensor>& steps) const {
    if (is_recordable()) return at::_foreach_add_(steps, 1.0);
    for (at::Tensor& steps_of_one : steps) *steps_of_one.mutable_data_ptr<float>() += 1.0F;
  }

  template <typename Rate>
  void apply(Selection& selection, Rate rate, double weight_decay) const {
    auto& [first, second, steps] = selection.states;
    const auto kernel = decoupled_ ? static_cast<Kernel<Rate>*>(at::_fused_adamw_)
                                   : static_cast<Kernel<Rate>*>(at::_fused_adam_);
    kernel(selection.values, selection.gradients, first, second, {}, steps, rate, options_.beta1,
           options_.beta2, weight_decay, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false,
           {}, {});
  }

  bool decoupled_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::span<Executor::Parameter> parameters,
                                          bool recordable) {
  if (options.name == "sgd") return std::make_unique<Sgd>(options, parameters, recordable);
  if (options.name == "adam" || options.name == "adamw") {
    return std::make_unique<Adam>(options, parameters, recordable);
  }
  throw std::invalid_argument("[optimizer] unknown optimizer '" + options.name +
                              "', expected one of sgd, adam, adamw");
}

namespace {

// Where warm-up does not decide.
double decayed(const ScheduleOptions& options, double now, double warm_up, double total) {
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

}  // namespace

double schedule_factor(const ScheduleOptions& options, std::int64_t step,
                       std::int64_t total_steps) {
  const auto warm_up = static_cast<double>(options.warm_up_steps);
  const auto now = static_cast<double>(step);
  const double factor = decayed(options, now, warm_up, static_cast<double>(total_steps));
  return step < options.warm_up_steps ? (now + 1.0) / warm_up : factor;
}

double clip_gradients(std::span<Executor::Parameter> parameters, double max_norm) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  double sum = 0.0;
  for (const at::Tensor& norm : at::_foreach_norm(gradients, 2)) {
    const double value = norm.item<float>();
    sum += value * value;
  }
  const double norm = std::sqrt(sum);
  if (norm > max_norm) at::_foreach_mul_(gradients, max_norm / norm);
  return norm;
}

void clip_gradients_unseen(std::span<Executor::Parameter> parameters, double max_norm) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (gradients.empty()) return;
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients, 2)).norm();
  at::_foreach_mul_(gradients, norm.reciprocal().mul_(max_norm).clamp_max_(1.0));
}

}  // namespace fedstill
