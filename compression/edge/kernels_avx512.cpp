// Compiled for AVX-512 with VNNI; reached only where the processor has both. vpdpbusd multiplies
// unsigned by signed bytes and adds four products to each 32-bit lane without saturation.
#include <immintrin.h>

#include "compression/edge/kernel_loops.h"
#include "compression/edge/kernels.h"

namespace fedstill {
namespace {

inline __m512i four_values(const std::uint8_t* x) {
  std::int32_t bits = 0;
  std::memcpy(&bits, x, sizeof bits);
  return _mm512_set1_epi32(bits);
}

template <int kRowCount, int kPanels>
void dot(const std::uint8_t* const* rows, const std::int32_t* offsets, std::int64_t steps,
         const std::int8_t* weights, std::int32_t* sums) {
  __m512i total[kRowCount][kPanels];
  const std::uint8_t* row_start[kRowCount];
  for (int row = 0; row < kRowCount; ++row) {
    row_start[row] = rows[row];
    for (auto& lane : total[row]) lane = _mm512_setzero_si512();
  }
  for (std::int64_t step = 0; step < steps; ++step) {
    __m512i w[kPanels];
    for (int panel = 0; panel < kPanels; ++panel) {
      w[panel] = _mm512_loadu_si512(weights + (panel * steps + step) * kPanel * kDepth);
    }
    for (int row = 0; row < kRowCount; ++row) {
      const __m512i x = four_values(row_start[row] + offsets[step]);
      for (int panel = 0; panel < kPanels; ++panel) {
        total[row][panel] = _mm512_dpbusd_epi32(total[row][panel], x, w[panel]);
      }
    }
  }
  for (int row = 0; row < kRowCount; ++row) {
    for (int panel = 0; panel < kPanels; ++panel) {
      _mm512_storeu_si512(sums + (row * kPanels + panel) * kPanel, total[row][panel]);
    }
  }
}

}  // namespace

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels{
    .name = "avx512-vnni",
    .dot = {{dot<1, 1>, dot<1, 2>}, {dot<kTileRows, 1>, dot<kTileRows, 2>}},
    .depthwise = depthwise_loop,
    .requantize = requantize_loop,
    .quantize = quantize_loop,
    .maximum = maximum_loop,
    .accumulate = accumulate_loop,
    .add = add_loop,
    .multiply = multiply_loop,
};

}  // namespace fedstill
