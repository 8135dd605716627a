// Compiled for AVX2; reached only where the processor has it. Values are widened to 16 bits before
// they are multiplied: the shorter vpmaddubsw saturates, and exactness is the contract.
#include <immintrin.h>

#include "compression/edge/kernel_loops.h"
#include "compression/edge/kernels.h"

namespace fedstill {
namespace {

inline __m256i four_values(const std::uint8_t* x) {
  return _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_loadu_si32(x)));
}

// Four channels a register, two partial sums a channel.
inline __m256i four_channels(const std::int8_t* w) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
}

inline __m256i join_partials(__m256i first, __m256i second) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(first, second), 0xD8);
}

template <int kRowCount>
inline void panel_dot(const std::uint8_t* const* rows, const std::int32_t* offsets,
                      std::int64_t steps, const std::int8_t* w, std::int64_t row_stride,
                      std::int32_t* sums) {
  __m256i total[kRowCount][4];
  for (auto& row : total) {
    for (auto& lane : row) lane = _mm256_setzero_si256();
  }
  for (std::int64_t step = 0; step < steps; ++step, w += kPanel * kDepth) {
    const __m256i c0 = four_channels(w), c1 = four_channels(w + 16);
    const __m256i c2 = four_channels(w + 32), c3 = four_channels(w + 48);
    for (int row = 0; row < kRowCount; ++row) {
      const __m256i x = four_values(rows[row] + offsets[step]);
      total[row][0] = _mm256_add_epi32(total[row][0], _mm256_madd_epi16(x, c0));
      total[row][1] = _mm256_add_epi32(total[row][1], _mm256_madd_epi16(x, c1));
      total[row][2] = _mm256_add_epi32(total[row][2], _mm256_madd_epi16(x, c2));
      total[row][3] = _mm256_add_epi32(total[row][3], _mm256_madd_epi16(x, c3));
    }
  }
  for (int row = 0; row < kRowCount; ++row) {
    auto* out = reinterpret_cast<__m256i*>(sums + row * row_stride);
    _mm256_storeu_si256(out, join_partials(total[row][0], total[row][1]));
    _mm256_storeu_si256(out + 1, join_partials(total[row][2], total[row][3]));
  }
}

template <int kRowCount, int kPanels>
void dot(const std::uint8_t* const* rows, const std::int32_t* offsets, std::int64_t steps,
         const std::int8_t* weights, std::int32_t* sums) {
  constexpr int kAtOnce = kRowCount == 1 ? 1 : 2;  // two rows fill the sixteen registers
  for (int panel = 0; panel < kPanels; ++panel) {
    const std::int8_t* w = weights + panel * steps * kPanel * kDepth;
    for (int row = 0; row < kRowCount; row += kAtOnce) {
      panel_dot<kAtOnce>(rows + row, offsets, steps, w, kPanels * kPanel,
                         sums + (row * kPanels + panel) * kPanel);
    }
  }
}

}  // namespace

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels{
    .name = "avx2",
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
