#include "launch/report_samples.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "launch/png_image.h"
#include "launch/stages/run.h"
#include "model/random.h"

namespace fedstill {
namespace {

constexpr std::size_t kRandomSamples = 16;
constexpr std::size_t kWrongSamples = 8;

std::vector<float> row_of(const at::Tensor& matrix, std::int64_t row) {
  const at::Tensor values = matrix.select(0, row).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

std::vector<std::int64_t> choose(const Job& job, const Material& material,
                                 const Teaching& teaching) {
  std::vector<std::int64_t> order(material.pool_labels.labels.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  shuffle(order, seed_of(job, Stream::kSamples));
  const at::Tensor top = teaching.pool.labels.argmax(1).contiguous();
  const auto* predicted = top.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> out(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                   kRandomSamples, order.size())));
  std::size_t wrong = 0;
  for (std::size_t i = out.size(); i < order.size() && wrong < kWrongSamples; ++i) {
    if (predicted[order[i]] == material.pool_labels.labels[static_cast<std::size_t>(order[i])]) {
      continue;
    }
    out.push_back(order[i]);
    ++wrong;
  }
  return out;
}

}  // namespace

nlohmann::json sample_list(const Job& job, const Material& material, const Teaching& teaching) {
  const auto& shape = material.data.train.images->shape;
  const at::Tensor weights = teaching.pool.weights.t();
  nlohmann::json out = nlohmann::json::array();
  for (const std::int64_t row : choose(job, material, teaching)) {
    out.push_back({{"png_base64", base64(encode_png(material.pool.images.image(row), shape))},
                   {"soft_label", row_of(teaching.pool.labels, row)},
                   {"weights", row_of(weights, row)},
                   {"hidden_label", material.pool_labels.labels[static_cast<std::size_t>(row)]}});
  }
  return out;
}

}  // namespace fedstill
