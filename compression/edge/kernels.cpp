#include "compression/edge/kernels.h"

#include "compression/edge/kernel_loops.h"

namespace fedstill {
namespace {

template <int kRowCount, int kPanels>
void dot(const std::uint8_t* const* rows, const std::int32_t* offsets, std::int64_t steps,
         const std::int8_t* weights, std::int32_t* sums) {
  constexpr int kColumns = kPanels * kPanel;
  for (int i = 0; i < kRowCount * kColumns; ++i) sums[i] = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (int panel = 0; panel < kPanels; ++panel) {
      const std::int8_t* w = weights + (panel * steps + step) * kPanel * kDepth;
      for (int row = 0; row < kRowCount; ++row) {
        const std::uint8_t* x = rows[row] + offsets[step];
        std::int32_t* out = sums + row * kColumns + panel * kPanel;
        for (int c = 0; c < kPanel; ++c) {
          for (int k = 0; k < kDepth; ++k) out[c] += x[k] * w[c * kDepth + k];
        }
      }
    }
  }
}

}  // namespace

const Kernels kPortableKernels{
    .name = "portable",
    .dot = {{dot<1, 1>, dot<1, 2>}, {dot<kTileRows, 1>, dot<kTileRows, 2>}},
    .depthwise = depthwise_loop,
    .requantize = requantize_loop,
    .quantize = quantize_loop,
    .maximum = maximum_loop,
    .accumulate = accumulate_loop,
    .add = add_loop,
    .multiply = multiply_loop,
};

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> found{&kPortableKernels};
  for (const Kernels* kernels : machine_kernels()) found.push_back(kernels);
  return found;
}

}  // namespace fedstill
