#include "training/batch_norm_relu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

// The loops below vectorise over channels; the widest registers of the processor at hand are chosen
// when the program is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FEDSTILL_VECTORISED \
  __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define FEDSTILL_VECTORISED
#endif

namespace fedstill {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Sums run in float over this many rows, then in double: fast, and exact enough for any count.
constexpr std::int64_t kRowsPerSum = 64;
constexpr std::int64_t kRowsPerTask = 1024;

// sum += x − shift, squares += (x − shift)², over rows of c channels. The shift, one of the values,
// keeps the difference of the two from cancelling.
FEDSTILL_VECTORISED void add_moments(const float* __restrict x, std::int64_t rows, std::int64_t c,
                                     const float* __restrict shift, float* __restrict sum,
                                     float* __restrict squares) {
  for (std::int64_t r = 0; r < rows; ++r, x += c) {
    for (std::int64_t i = 0; i < c; ++i) {
      const float d = x[i] - shift[i];
      sum[i] += d;
      squares[i] += d * d;
    }
  }
}

// Where a vector of channels stands: the affine map of this batch, (x − mean) · scale + bias. In
// this form a large mean costs no precision.
struct Channels {
  std::int64_t count;
  const float *mean, *scale, *bias;
};

FEDSTILL_VECTORISED void scale_and_rectify(const float* __restrict x, std::int64_t rows,
                                           const Channels& channels, float* __restrict y) {
  const std::int64_t c = channels.count;
  const float* __restrict const mean = channels.mean;
  const float* __restrict const scale = channels.scale;
  const float* __restrict const bias = channels.bias;
  for (std::int64_t r = 0; r < rows; ++r, x += c, y += c) {
    for (std::int64_t i = 0; i < c; ++i) {
      const float value = (x[i] - mean[i]) * scale[i] + bias[i];
      y[i] = value <= 0.0F ? 0.0F : value;  // this way round, NaN stays NaN
    }
  }
}

// sum += g, products += g · (x − mean) where g is the gradient that passed the ReLU.
FEDSTILL_VECTORISED void add_gradients(const float* __restrict x, const float* __restrict gradient,
                                       std::int64_t rows, const Channels& channels,
                                       float* __restrict sum, float* __restrict products) {
  const std::int64_t c = channels.count;
  const float* __restrict const mean = channels.mean;
  const float* __restrict const scale = channels.scale;
  const float* __restrict const bias = channels.bias;
  for (std::int64_t r = 0; r < rows; ++r, x += c, gradient += c) {
    for (std::int64_t i = 0; i < c; ++i) {
      const float d = x[i] - mean[i], dy = gradient[i];
      const float g = d * scale[i] + bias[i] <= 0.0F ? 0.0F : dy;
      sum[i] += g;
      products[i] += g * d;
    }
  }
}

// out = scale · g + slope · (x − mean) + constant
FEDSTILL_VECTORISED void combine_gradients(const float* __restrict x,
                                           const float* __restrict gradient, std::int64_t rows,
                                           const Channels& channels, const float* __restrict slope,
                                           const float* __restrict constant,
                                           float* __restrict out) {
  const std::int64_t c = channels.count;
  const float* __restrict const mean = channels.mean;
  const float* __restrict const scale = channels.scale;
  const float* __restrict const bias = channels.bias;
  for (std::int64_t r = 0; r < rows; ++r, x += c, gradient += c, out += c) {
    for (std::int64_t i = 0; i < c; ++i) {
      const float d = x[i] - mean[i], dy = gradient[i];
      const float g = d * scale[i] + bias[i] <= 0.0F ? 0.0F : dy;
      out[i] = scale[i] * g + (slope[i] * d + constant[i]);
    }
  }
}

// Images in channels-last memory are a matrix of pixels by channels.
struct Matrix {
  explicit Matrix(const at::Tensor& images)
      : channels(images.size(1)), rows(images.numel() / channels) {}
  std::int64_t channels, rows;
};

// Two sums per channel over all rows; add(first row, rows, sum, other sum) adds a few rows. Tasks
// are cut by rows alone and added up in order, whatever thread ran them.
template <typename Add>
std::vector<double> sum_rows(const Matrix& matrix, const Add& add) {
  const auto width = static_cast<std::size_t>(2 * matrix.channels);
  const std::int64_t tasks = (matrix.rows + kRowsPerTask - 1) / kRowsPerTask;
  std::vector<double> partial(static_cast<std::size_t>(tasks) * width);
  at::parallel_for(0, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> few(width);
    for (std::int64_t task = begin; task < end; ++task) {
      double* const sums = partial.data() + static_cast<std::size_t>(task) * width;
      const std::int64_t stop = std::min(matrix.rows, (task + 1) * kRowsPerTask);
      for (std::int64_t row = task * kRowsPerTask; row < stop; row += kRowsPerSum) {
        std::ranges::fill(few, 0.0F);
        add(row, std::min(kRowsPerSum, stop - row), few.data(), few.data() + matrix.channels);
        for (std::size_t i = 0; i < width; ++i) sums[i] += double{few[i]};
      }
    }
  });
  for (std::size_t i = width; i < partial.size(); ++i) partial[i % width] += partial[i];
  partial.resize(width);
  return partial;
}

template <typename Work>
void for_rows(const Matrix& matrix, const Work& work) {
  at::parallel_for(0, matrix.rows, kRowsPerTask, [&](std::int64_t begin, std::int64_t end) {
    work(begin * matrix.channels, end - begin);
  });
}

// Rows of one tensor [4, C], so that autograd keeps them as one.
enum Coefficient : std::int64_t { kMean, kScale, kBias, kDeviationInverse, kCoefficients };

Channels channels_of(const at::Tensor& coefficients) {
  const std::int64_t c = coefficients.size(1);
  const float* const k = coefficients.const_data_ptr<float>();
  return {c, k + kMean * c, k + kScale * c, k + kBias * c};
}

at::Tensor measure(const at::Tensor& images, const BatchNormTensors& tensors, double epsilon) {
  const Matrix matrix(images);
  const float* const x = images.const_data_ptr<float>();
  const std::int64_t c = matrix.channels;
  const std::vector<double> sums =
      sum_rows(matrix, [&](std::int64_t row, std::int64_t rows, float* sum, float* squares) {
        add_moments(x + row * c, rows, c, x, sum, squares);
      });
  const auto n = static_cast<double>(matrix.rows);
  at::Tensor coefficients = at::empty({kCoefficients, c}, at::kFloat);
  float* const out = coefficients.mutable_data_ptr<float>();
  float* const running_mean = tensors.running_mean.mutable_data_ptr<float>();
  float* const running_var = tensors.running_var.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < c; ++i) {
    const double shifted = sums[static_cast<std::size_t>(i)] / n;
    const double mean = double{x[i]} + shifted;
    const double squares = sums[static_cast<std::size_t>(c + i)] / n;
    const double variance = std::max(0.0, squares - shifted * shifted);
    const double inverse = 1.0 / std::sqrt(variance + epsilon);
    const float weight = tensors.weight.const_data_ptr<float>()[i];
    out[kMean * c + i] = static_cast<float>(mean);
    out[kScale * c + i] = static_cast<float>(double{weight} * inverse);
    out[kBias * c + i] = tensors.bias.const_data_ptr<float>()[i];
    out[kDeviationInverse * c + i] = static_cast<float>(inverse);
    running_mean[i] += 0.1F * (static_cast<float>(mean) - running_mean[i]);
    running_var[i] += 0.1F * (static_cast<float>(variance * n / (n - 1.0)) - running_var[i]);
  }
  return coefficients;
}

// Gradients of weight and bias, then what combine_gradients() wants: slope and constant. [4, C]
enum Gradient : std::int64_t { kOfWeight, kOfBias, kSlope, kConstant, kGradients };

at::Tensor parameter_gradients(const Matrix& matrix, const std::vector<double>& sums,
                               const at::Tensor& coefficients) {
  const std::int64_t c = matrix.channels;
  const float* const k = coefficients.const_data_ptr<float>();
  const auto n = static_cast<double>(matrix.rows);
  at::Tensor gradients = at::empty({kGradients, c}, at::kFloat);
  float* const out = gradients.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < c; ++i) {
    const double sum = sums[static_cast<std::size_t>(i)];
    const double of_weight =
        sums[static_cast<std::size_t>(c + i)] * double{k[kDeviationInverse * c + i]};
    const double share = -double{k[kScale * c + i]} / n;
    out[kOfWeight * c + i] = static_cast<float>(of_weight);
    out[kOfBias * c + i] = static_cast<float>(sum);
    out[kSlope * c + i] =
        static_cast<float>(share * of_weight * double{k[kDeviationInverse * c + i]});
    out[kConstant * c + i] = static_cast<float>(share * sum);
  }
  return gradients;
}

class BatchNormReLU : public torch::autograd::Function<BatchNormReLU> {
 public:
  // Weight and bias come a second time inside the struct: as arguments for autograd to see them;
  // the running statistics only there, for autograd not to.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& images,
                            const at::Tensor& /*weight*/, const at::Tensor& /*bias*/,
                            const BatchNormTensors& tensors, double epsilon) {
    const at::Tensor coefficients = measure(images, tensors, epsilon);
    const float* const x = images.const_data_ptr<float>();
    at::Tensor result = at::empty_like(images);
    float* const y = result.mutable_data_ptr<float>();
    for_rows(Matrix(images), [&](std::int64_t at, std::int64_t rows) {
      scale_and_rectify(x + at, rows, channels_of(coefficients), y + at);
    });
    context->save_for_backward({images, coefficients});
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor dense = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const Matrix matrix(saved[0]);
    const Channels channels = channels_of(saved[1]);
    const float* const x = saved[0].const_data_ptr<float>();
    const float* const dy = dense.const_data_ptr<float>();
    const std::vector<double> sums =
        sum_rows(matrix, [&](std::int64_t row, std::int64_t rows, float* sum, float* products) {
          const std::int64_t at = row * matrix.channels;
          add_gradients(x + at, dy + at, rows, channels, sum, products);
        });
    const at::Tensor of_parameters = parameter_gradients(matrix, sums, saved[1]);
    const float* const p = of_parameters.const_data_ptr<float>();
    at::Tensor result = at::empty_like(saved[0]);
    float* const dx = result.mutable_data_ptr<float>();
    for_rows(matrix, [&](std::int64_t at, std::int64_t rows) {
      combine_gradients(x + at, dy + at, rows, channels, p + kSlope * channels.count,
                        p + kConstant * channels.count, dx + at);
    });
    return {result, of_parameters[kOfWeight], of_parameters[kOfBias], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool fits_batch_norm_relu(const at::Tensor& images) {
  return images.is_cpu() && images.dim() == 4 && images.scalar_type() == at::kFloat &&
         images.is_contiguous(at::MemoryFormat::ChannelsLast) && images.numel() > images.size(1);
}

at::Tensor batch_norm_relu(const at::Tensor& images, const BatchNormTensors& tensors,
                           double epsilon) {
  return BatchNormReLU::apply(images, tensors.weight, tensors.bias, tensors, epsilon);
}

}  // namespace fedstill
