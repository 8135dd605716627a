// Compiled for AVX512_BF16; reached only where the processor has it.
#include <immintrin.h>

#include "training/chain/kernel_table.h"

namespace fedstill::chain {
namespace {

struct NativePairs : PlainPairs {
  static constexpr bool kNative = true;

  static Pairs neighbours(const float* from) {
    return bits(_mm512_cvtne2ps_pbh(load(from + kPanel), load(from)));
  }
  static Pairs across(const Panel* rows) {
    const __m512bh both = _mm512_cvtne2ps_pbh(rows[1], rows[0]);
    return bits(_mm512_permutexvar_epi16(interleaved(), reinterpret_cast<__m512i>(both)));
  }
  static void add(Panel& sum, const Pairs& a, const Pairs& b) {
    sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

 private:
  template <typename Register>
  static Pairs bits(const Register& values) {
    return reinterpret_cast<Pairs>(values);
  }
  static __m512i interleaved() {
    Pairs order{};
    for (unsigned i = 0; i < kPanel; ++i) order[i] = i | (i + 16U) << 16U;
    return reinterpret_cast<__m512i>(order);
  }
};

}  // namespace

extern const Bf16Kernels kAvx512Bf16Kernels;
const Bf16Kernels kAvx512Bf16Kernels = bf16_kernels_of<NativePairs, 4, 5, 8, 12>();

}  // namespace fedstill::chain
