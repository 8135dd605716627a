#include "training/shared_batch_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fedstill {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Of each channel, over everything else: [C] float64.
at::Tensor channel_sums(const at::Tensor& values) {
  std::vector<std::int64_t> others{0};
  for (std::int64_t i = 2; i < values.dim(); ++i) others.push_back(i);
  return values.sum(others, /*keepdim=*/false, at::kDouble).contiguous();
}

// [C] as it is added to images.
at::Tensor spread(const at::Tensor& channels, const at::Tensor& images) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(images.dim()), 1);
  shape[1] = channels.numel();
  return channels.view(shape);
}

void add_to(std::vector<double>& all, std::size_t at, const at::Tensor& sums) {
  std::copy_n(sums.const_data_ptr<double>(), sums.numel(),
              all.begin() + static_cast<std::ptrdiff_t>(at));
}

struct Moments {
  at::Tensor mean, deviation_inverse;  // [C] float32, over all ranks
  double count = 0.0;                  // values per channel, likewise
};

// One exchange in float64. Each rank measures around its own mean, so that a large mean costs no
// precision (Chan, Golub and LeVeque 1983).
Moments measure(const at::Tensor& images, const BatchNormTensors& tensors, double epsilon,
                Collective& group) {
  const std::int64_t c = images.size(1);
  const auto own = static_cast<double>(images.numel() / c);
  const at::Tensor centre = channel_sums(images).div_(own).to(at::kFloat);
  const at::Tensor centred = images - spread(centre, images);
  const at::Tensor sums = channel_sums(centred), squares = channel_sums(centred * centred);
  const auto width = static_cast<std::size_t>(c);
  std::vector<double> all(2 * width + 1);
  for (std::size_t i = 0; i < width; ++i) {
    const double around = double{centre.const_data_ptr<float>()[i]};
    const double rest = sums.const_data_ptr<double>()[i], mean = around + rest / own;
    all[i] = own * mean;
    all[width + i] = squares.const_data_ptr<double>()[i] - rest * rest / own + own * mean * mean;
  }
  all.back() = own;
  group.all_reduce(elements(all)).wait();
  Moments out{at::empty({c}, at::kFloat), at::empty({c}, at::kFloat), all.back()};
  for (std::size_t i = 0; i < width; ++i) {
    const double n = out.count, mean = all[i] / n;
    const double variance = std::max(0.0, all[width + i] / n - mean * mean);
    out.mean.mutable_data_ptr<float>()[i] = static_cast<float>(mean);
    out.deviation_inverse.mutable_data_ptr<float>()[i] =
        static_cast<float>(1.0 / std::sqrt(variance + epsilon));
    float& running_mean = tensors.running_mean.mutable_data_ptr<float>()[i];
    float& running_var = tensors.running_var.mutable_data_ptr<float>()[i];
    running_mean += 0.1F * (static_cast<float>(mean) - running_mean);
    running_var += 0.1F * (static_cast<float>(variance * n / (n - 1.0)) - running_var);
  }
  return out;
}

class SharedBatchNorm : public torch::autograd::Function<SharedBatchNorm> {
 public:
  // Weight and bias come a second time inside the struct: as arguments for autograd to see them;
  // the running statistics only there, for autograd not to.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& images,
                            const at::Tensor& weight, const at::Tensor& bias,
                            const BatchNormTensors& tensors, double epsilon, Collective* group) {
    const at::Tensor x = images.to(at::kFloat);
    const Moments moments = measure(x, tensors, epsilon, *group);
    context->save_for_backward({x, moments.mean, moments.deviation_inverse, weight});
    context->saved_data["count"] = moments.count;
    context->saved_data["group"] = reinterpret_cast<std::int64_t>(group);
    const at::Tensor scale = moments.deviation_inverse * weight;
    return ((x - spread(moments.mean, x)) * spread(scale, x) + spread(bias, x))
        .to(images.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    auto* const group = reinterpret_cast<Collective*>(context->saved_data["group"].toInt());
    const double count = context->saved_data["count"].toDouble();
    const at::Tensor dy = gradients[0].to(at::kFloat);
    const at::Tensor normal = (x - spread(saved[1], x)) * spread(saved[2], x);
    const at::Tensor of_bias = channel_sums(dy), of_weight = channel_sums(dy * normal);
    const auto width = static_cast<std::size_t>(of_bias.numel());
    std::vector<double> all(2 * width);
    add_to(all, 0, of_bias);
    add_to(all, width, of_weight);
    group->all_reduce(elements(all)).wait();
    const at::Tensor constant = at::empty({x.size(1)}, at::kFloat);
    const at::Tensor slope = at::empty({x.size(1)}, at::kFloat);
    for (std::size_t i = 0; i < width; ++i) {
      constant.mutable_data_ptr<float>()[i] = static_cast<float>(all[i] / count);
      slope.mutable_data_ptr<float>()[i] = static_cast<float>(all[width + i] / count);
    }
    const at::Tensor dx =
        (dy - spread(constant, x) - normal * spread(slope, x)) * spread(saved[2] * saved[3], x);
    return {dx.to(gradients[0].scalar_type()),
            of_weight.to(at::kFloat),
            of_bias.to(at::kFloat),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor shared_batch_norm(const at::Tensor& images, const BatchNormTensors& tensors,
                             double epsilon, Collective& group) {
  return SharedBatchNorm::apply(images, tensors.weight, tensors.bias, tensors, epsilon, &group);
}

}  // namespace fedstill
