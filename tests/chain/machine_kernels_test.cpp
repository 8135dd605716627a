#include "training/chain/machine_kernels.h"

#include <gtest/gtest.h>

#include "training/chain/kernels.h"

namespace fedstill::chain {
namespace {

TEST(MachineKernels, AskForNoMoreThanTheProcessorHas) {
  EXPECT_TRUE(machine_kernels({}).empty());
  EXPECT_TRUE(machine_kernels({.avx512_bf16 = true}).empty());
  for (const Kernels* kernels : machine_kernels({.avx2 = true, .avx512 = true})) {
    EXPECT_FALSE(kernels->bf16.native) << kernels->name;
  }
}

TEST(MachineKernels, Bf16LeavesFloat32AsItIs) {
  const auto without = machine_kernels({.avx2 = true, .avx512 = true});
  const auto with = machine_kernels({.avx2 = true, .avx512 = true, .avx512_bf16 = true});
  if (with.empty()) GTEST_SKIP() << "no kernels for this family of processors";
  EXPECT_TRUE(with.back()->bf16.native);
  EXPECT_EQ(with.back()->convolve, without.back()->convolve);
  EXPECT_EQ(with.back()->linear, without.back()->linear);
  EXPECT_EQ(with.back()->linear_back, without.back()->linear_back);
}

}  // namespace
}  // namespace fedstill::chain
