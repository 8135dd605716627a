#include "training/shared_batch_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <torch/csrc/autograd/custom_function.h>

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

// The sums of all ranks, where those of this one are.
at::Tensor over_ranks(const at::Tensor& sums, Collective& group, at::Device wire) {
  const at::Tensor all = sums.to(wire);
  group
      .all_reduce({all.mutable_data_ptr<double>(), static_cast<std::size_t>(all.numel()),
                   ElementType::kFloat64})
      .wait();
  return all.to(sums.device());
}

struct Moments {
  at::Tensor mean, deviation_inverse;  // [C] float32, over all ranks
  at::Tensor count;                    // values per channel, likewise: float64
};

// One exchange in float64. Each rank measures around its own mean, so that a large mean costs no
// precision (Chan, Golub and LeVeque 1983).
Moments measure(const at::Tensor& images, const BatchNormTensors& tensors, double epsilon,
                Collective& group, at::Device wire) {
  const std::int64_t c = images.size(1), count = images.numel() / c;
  const auto own = static_cast<double>(count);
  const at::Tensor centre = channel_sums(images).div_(own).to(at::kFloat);
  const at::Tensor centred = images - spread(centre, images);
  const at::Tensor rest = channel_sums(centred), squares = channel_sums(centred * centred);
  const at::Tensor mean_here = centre.to(at::kDouble) + rest / own, sum = mean_here * own;
  const at::Tensor all =
      over_ranks(at::cat({sum, squares - rest * rest / own + sum * mean_here,
                          at::full({1}, own, at::TensorOptions(at::kDouble).device(sum.device()))}),
                 group, wire);
  const at::Tensor n = all[2 * c], mean = all.narrow(0, 0, c) / n;
  const at::Tensor variance = (all.narrow(0, c, c) / n - mean * mean).clamp_min_(0.0);
  Moments out{mean.to(at::kFloat), (variance + epsilon).sqrt_().reciprocal_().to(at::kFloat), n};
  const auto follow = [](const at::Tensor& running, const at::Tensor& now) {
    running.add_((now - running).mul_(0.1));
  };
  follow(tensors.running_mean, out.mean);
  follow(tensors.running_var, (variance * n / (n - 1.0)).to(at::kFloat));
  return out;
}

class SharedBatchNorm : public torch::autograd::Function<SharedBatchNorm> {
 public:
  // Weight and bias come a second time inside the struct: as arguments for autograd to see them;
  // the running statistics only there, for autograd not to.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& images,
                            const at::Tensor& weight, const at::Tensor& bias,
                            const BatchNormTensors& tensors, double epsilon, Collective* group,
                            at::Device wire) {
    const at::Tensor x = images.to(at::kFloat);
    const Moments moments = measure(x, tensors, epsilon, *group, wire);
    context->save_for_backward({x, moments.mean, moments.deviation_inverse, weight, moments.count});
    context->saved_data["group"] = reinterpret_cast<std::int64_t>(group);
    context->saved_data["wire"] = wire;
    const at::Tensor scale = moments.deviation_inverse * weight;
    return ((x - spread(moments.mean, x)) * spread(scale, x) + spread(bias, x))
        .to(images.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    // Autograd keeps values between forward and backward, and no pointers.
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    auto* const group = reinterpret_cast<Collective*>(context->saved_data["group"].toInt());
    const at::Device wire = context->saved_data["wire"].toDevice();
    const at::Tensor dy = gradients[0].to(at::kFloat);
    const at::Tensor normal = (x - spread(saved[1], x)) * spread(saved[2], x);
    const at::Tensor of_bias = channel_sums(dy), of_weight = channel_sums(dy * normal);
    const at::Tensor means =
        (over_ranks(at::cat({of_bias, of_weight}), *group, wire) / saved[4]).to(at::kFloat);
    const at::Tensor constant = means.narrow(0, 0, x.size(1));
    const at::Tensor slope = means.narrow(0, x.size(1), x.size(1));
    const at::Tensor dx =
        (dy - spread(constant, x) - normal * spread(slope, x)) * spread(saved[2] * saved[3], x);
    return {dx.to(gradients[0].scalar_type()),
            of_weight.to(at::kFloat),
            of_bias.to(at::kFloat),
            at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor shared_batch_norm(const at::Tensor& images, const BatchNormTensors& tensors,
                             double epsilon, Collective& group, at::Device wire) {
  return SharedBatchNorm::apply(images, tensors.weight, tensors.bias, tensors, epsilon, &group,
                                wire);
}

}  // namespace fedstill
