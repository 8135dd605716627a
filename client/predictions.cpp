#include "client/predictions.h"

#include <ATen/ops/clamp.h>

#include <span>

#include "data/predictions_file.h"
#include "training/predict.h"

namespace fedstill {
namespace {

std::span<const float> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

void write_predictions(const Graph& graph, const ImageView& pool,
                       const Normalisation& normalisation, const std::string& pool_hash,
                       const std::filesystem::path& file) {
  constexpr double kMaxLogit = 1e6;
  const std::vector<std::string> outputs{"logits", "confidence"};
  const auto said = predict(graph, outputs, pool, normalisation);
  const at::Tensor logits = at::clamp(said[0], -kMaxLogit, kMaxLogit).contiguous();
  const at::Tensor confidences = said[1].reshape({pool.count()}).contiguous();
  const PredictionsShape shape{pool_hash, pool.count(), logits.size(1)};
  write_predictions_file(file, shape, values_of(logits), values_of(confidences));
}

}  // namespace fedstill
