#include "compression/float_taps.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "training/executor.h"

namespace fedstill {
namespace {

constexpr std::int64_t kBlock = 64;

std::span<const float> span_of(const at::Tensor& contiguous) {
  return {contiguous.const_data_ptr<float>(), static_cast<std::size_t>(contiguous.numel())};
}

}  // namespace

void tap_float_values(const Graph& folded, const ImageView& images,
                      const Normalisation& normalisation, std::int64_t count,
                      std::span<const int> wanted,
                      const std::function<void(const TapBlock&)>& on_block) {
  const at::NoGradGuard no_gradients;
  const std::int64_t all = std::min(count, images.count());
  if (all <= 0) throw std::invalid_argument("[quantize] there are no images to look at");
  Executor executor(folded, {.channels_last = false, .bf16 = false, .trainable = false});
  const ImageShape& shape = images.images->shape;
  for (std::int64_t first = 0; first < all; first += kBlock) {
    const std::int64_t size = std::min(kBlock, all - first);
    std::vector<std::int64_t> rows(static_cast<std::size_t>(size));
    std::iota(rows.begin(), rows.end(), first);
    const at::Tensor batch = at::empty({size, shape.channels, shape.height, shape.width});
    gather(images, rows, normalisation,
           {batch.mutable_data_ptr<float>(), static_cast<std::size_t>(batch.numel())});
    std::vector<at::Tensor> taps = executor.run(batch, wanted, Mode::kEval);
    TapBlock block{.first = first, .count = size, .images = span_of(batch), .values = {}};
    for (at::Tensor& tap : taps) {
      tap = tap.contiguous();
      block.values.push_back(span_of(tap));
    }
    on_block(block);
  }
}

}  // namespace fedstill
