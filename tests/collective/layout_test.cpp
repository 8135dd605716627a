#include "collective/mpi/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace fedstill {
namespace {

using Kind = Operation::Kind;

Operation operation_of(Kind kind, std::size_t input, std::size_t output) {
  static std::uint8_t memory;  // never looked at
  Operation operation;
  operation.kind = kind;
  operation.input = ConstElements(&memory, input, ElementType::kUint8);
  operation.output = Elements{&memory, output, ElementType::kUint8};
  return operation;
}

// How often the blocks of all segments and ranks cover each element of the longer side.
std::vector<int> cover(const mpi::Layout& layout, int ranks, std::size_t count) {
  std::vector<int> times(count);
  for (std::size_t segment = 0; segment < layout.segments(); ++segment) {
    for (int rank = 0; rank < ranks; ++rank) {
      const mpi::Block block = layout.block(segment, rank);
      EXPECT_LE(block.count, std::size_t{1} << 30);
      EXPECT_EQ(layout.own_block(segment, rank).count, block.count);
      for (std::size_t i = 0; i < block.count; ++i) ++times.at(block.offset + i);
    }
  }
  return times;
}

TEST(Layout, BlocksCoverEveryElementOnce) {
  for (const int ranks : {1, 2, 3, 7, 64}) {
    for (const std::size_t count :
         {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{1'300'001}}) {
      const mpi::Layout reduce(operation_of(Kind::kAllReduce, count, count), ranks);
      EXPECT_EQ(cover(reduce, ranks, count), std::vector<int>(count, 1))
          << ranks << " ranks, " << count;
      const std::size_t block = count / static_cast<std::size_t>(ranks),
                        whole = block * static_cast<std::size_t>(ranks);
      const mpi::Layout scatter(operation_of(Kind::kReduceScatter, whole, block), ranks);
      EXPECT_EQ(cover(scatter, ranks, whole), std::vector<int>(whole, 1))
          << ranks << " ranks, " << whole;
    }
  }
}

// A short last one would cost the ranks as many meetings as a long one.
TEST(Layout, SegmentsAreEquallyLong) {
  for (const std::size_t count : {std::size_t{4'000'000}, std::size_t{16'777'217}}) {
    const mpi::Layout layout(operation_of(Kind::kAllReduce, count, count), 2);
    std::size_t least = count, most = 0;
    for (std::size_t segment = 0; segment < layout.segments(); ++segment) {
      const std::size_t both = layout.block(segment, 0).count + layout.block(segment, 1).count;
      least = std::min(least, both);
      most = std::max(most, both);
    }
    EXPECT_LE(most - least, 1U) << count;
  }
}

TEST(Layout, HugeViewsAreCutFarBelowTwoGibibytes) {
  const std::size_t count = std::size_t{5} << 30;
  for (const Kind kind : {Kind::kAllReduce, Kind::kBroadcast}) {
    const mpi::Layout layout(operation_of(kind, count, count), 2);
    std::size_t sum = 0;
    for (std::size_t segment = 0; segment < layout.segments(); ++segment) {
      const mpi::Block block = layout.block(segment, 0);
      EXPECT_LE(block.count, std::size_t{1} << 24);
      sum += block.count + (kind == Kind::kAllReduce ? layout.block(segment, 1).count : 0);
    }
    EXPECT_EQ(sum, count);
  }
}

}  // namespace
}  // namespace fedstill
