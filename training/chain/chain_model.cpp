#include "training/chain/chain_model.h"

#include <algorithm>
#include <cmath>

namespace fedstill::chain {
namespace {

// logits [classes] → the gradient of the cross-entropy / rows, in place of d; returns the loss.
double cross_entropy(const float* logits, std::int64_t classes, std::int32_t label,
                     std::int64_t rows, float* d) {
  const float most = *std::max_element(logits, logits + classes);
  float sum = 0.0F;
  for (std::int64_t c = 0; c < classes; ++c) sum += d[c] = std::exp(logits[c] - most);
  const float scale = 1.0F / (sum * static_cast<float>(rows));
  for (std::int64_t c = 0; c < classes; ++c) d[c] *= scale;
  d[label] -= 1.0F / static_cast<float>(rows);
  return std::log(static_cast<double>(sum)) - static_cast<double>(logits[label] - most);
}

}  // namespace

ChainModel::ChainModel(const ChainPlan& plan, std::int64_t batch, bool bf16, const Kernels& kernels)
    : plan_(plan),
      batch_(batch),
      in_stride_(padded(plan.in_features())),
      places_(place_weights(plan)),
      weights_(size_of(places_.back().end)),
      images_(size_of(batch * in_stride_ + kPanel)) {
  for (const Stage& stage : plan.stages) {
    if (const auto* conv = std::get_if<ConvStage>(&stage)) {
      layers_.emplace_back(std::in_place_type<ConvLayer>, *conv, kernels, batch, bf16);
    } else {
      layers_.emplace_back(std::in_place_type<LinearLayer>, std::get<LinearStage>(stage), kernels,
                           batch, bf16);
    }
    const std::int64_t stride =
        std::visit([](const auto& layer) { return layer.out_stride(); }, layers_.back());
    const std::size_t size = size_of(batch * stride + kPanel);
    values_.push_back({Aligned<float>(size), Aligned<float>(size), stride});
  }
}

std::span<float> ChainModel::image(std::int64_t r) {
  return std::span<float>(images_).subspan(size_of(r * in_stride_), size_of(plan_.in_features()));
}

const float* ChainModel::input_of(std::size_t layer) const {
  return layer == 0 ? images_.data() : values_[layer - 1].values.data();
}

const float* ChainModel::forward(std::int64_t rows) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    std::visit(
        [&](auto& layer) {
          layer.forward(rows, input_of(i), weights_.data() + places_[i].weight,
                        weights_.data() + places_[i].bias, values_[i].values.data());
        },
        layers_[i]);
  }
  return values_.back().values.data();
}

double ChainModel::take_loss(std::span<const std::int32_t> labels) {
  const auto rows = std::ssize(labels);
  double loss = 0.0;
  for (std::int64_t r = 0; r < rows; ++r) {
    loss += cross_entropy(values_.back().values.data() + r * logits_stride(), plan_.classes(),
                          labels[size_of(r)], rows,
                          values_.back().gradients.data() + r * logits_stride());
  }
  return loss / static_cast<double>(rows);
}

double ChainModel::step(std::span<const std::int32_t> labels, float rate) {
  const auto rows = std::ssize(labels);
  forward(rows);
  const double loss = take_loss(labels);
  for (std::size_t i = layers_.size(); i-- > 0;) {
    float* const dx = i == 0 ? nullptr : values_[i - 1].gradients.data();
    std::visit(
        [&](auto& layer) {
          layer.backward(rows, input_of(i), values_[i].values.data(), values_[i].gradients.data(),
                         dx, weights_.data() + places_[i].weight, weights_.data() + places_[i].bias,
                         rate);
        },
        layers_[i]);
  }
  return loss;
}

}  // namespace fedstill::chain
