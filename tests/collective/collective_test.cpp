#include "collective/collective.h"

#include <gtest/gtest.h>

#include <vector>

namespace fedstill {
namespace {

TEST(Operation, DescribesItself) {
  std::vector<float> data(128);
  Operation operation{Operation::Kind::kAllReduce, elements(data), elements(data), Reduction::kMax,
                      0};
  EXPECT_EQ(describe(operation), "all_reduce(max) of 128 float32");
  operation.kind = Operation::Kind::kBroadcast;
  operation.root = 3;
  EXPECT_EQ(describe(operation), "broadcast from rank 3 of 128 float32");
  EXPECT_EQ(describe(Operation{}), "barrier");
}

TEST(Operation, MatchesWhatDiffersInMemoryOnly) {
  std::vector<float> a(5), b(5), c(6);
  const auto sum_of = [](std::vector<float>& data) {
    return Operation{Operation::Kind::kAllReduce, elements(data), elements(data), Reduction::kSum,
                     0};
  };
  EXPECT_TRUE(matches(sum_of(a), sum_of(b)));
  EXPECT_FALSE(matches(sum_of(a), sum_of(c)));
  EXPECT_FALSE(matches(sum_of(a), Operation{}));
}

TEST(Pending, EmptyHandleIsDone) {
  Pending pending;
  EXPECT_TRUE(pending.is_done());
  pending.wait();
}

TEST(Elements, KnowTheirTypeAndSize) {
  std::vector<double> wide(3);
  const std::vector<Bfloat16> narrow(3);
  EXPECT_EQ(elements(wide).bytes(), 24U);
  EXPECT_EQ(elements(narrow).bytes(), 6U);
  EXPECT_EQ(elements(narrow).type, ElementType::kBfloat16);
}

}  // namespace
}  // namespace fedstill
