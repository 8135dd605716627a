#include "training/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "toy.h"

namespace fedstill {
namespace {

using ::testing::ElementsAre;

ExecutionPlan plan(const Graph& graph, std::vector<int> wanted) { return make_plan(graph, wanted); }

TEST(Plan, NeedsOnlyWhatLeadsToTheWanted) {
  GraphBuilder build("forked", {2, 4, 4}, 1);
  const int left = build.unary(0, Op::kTanh), right = build.unary(0, Op::kSigmoid);
  const Graph graph = std::move(build).finish(right, "y");
  EXPECT_THAT(plan(graph, {left}).needed, ElementsAre(true, true, false));
  EXPECT_THAT(plan(graph, {right, left}).needed, ElementsAre(true, true, true));
  EXPECT_THROW(plan(graph, {3}), std::invalid_argument);
  EXPECT_THROW(plan(graph, {-1}), std::invalid_argument);
}

TEST(Plan, ReleasesEveryValueAfterItsLastReaderButNotTheWanted) {
  GraphBuilder build("residual", {2, 4, 4}, 1);
  const int a = build.unary(0, Op::kTanh), b = build.unary(a, Op::kSigmoid);
  const int sum = build.binary(b, a, Op::kAdd), doubled = build.binary(sum, sum, Op::kAdd);
  const Graph graph = std::move(build).finish(doubled, "y");
  const auto released = plan(graph, {doubled, b}).released;
  EXPECT_THAT(released, ElementsAre(ElementsAre(), ElementsAre(0), ElementsAre(), ElementsAre(a),
                                    ElementsAre(sum)));
}

TEST(Plan, MemoryIsReusedOnlyUnderASingleReader) {
  GraphBuilder build("residual", {2, 4, 4}, 1);
  const int one = build.conv(0, {.out = 2}), two = build.conv(one, {.out = 2});
  const int sum = build.binary(two, one, Op::kAdd), end = build.unary(sum, Op::kTanh);
  const Graph graph = std::move(build).finish(build.unary(end, Op::kReLU), "y");
  const auto reusable = [&](std::vector<int> wanted) {
    return plan(graph, std::move(wanted)).reusable;
  };
  EXPECT_THAT(reusable({end + 1}), ElementsAre(false, false, true, true, false, false));
  EXPECT_THAT(reusable({end + 1, two}), ElementsAre(false, false, false, true, false, false));
}

TEST(Plan, BatchNormTakesTheReLUBehindItUnlessSomebodyLooks) {
  GraphBuilder build("bn", {2, 4, 4}, 1);
  const int norm = build.batch_norm(0), relu = build.unary(norm, Op::kReLU);
  const int pool = build.pool(relu, Op::kMaxPool, 2, 2);
  const Graph graph = std::move(build).finish(pool, "y");
  EXPECT_THAT(plan(graph, {pool}).passes, ElementsAre(false, false, true, false));
  EXPECT_THAT(plan(graph, {pool}).rectifies, ElementsAre(false, true, false, false));
  EXPECT_THAT(plan(graph, {pool, relu}).rectifies, ElementsAre(false, true, false, false));
  EXPECT_THAT(plan(graph, {pool, norm}).rectifies, ElementsAre(false, false, false, true));
  EXPECT_THAT(plan(graph, {pool, norm, relu}).rectifies, ElementsAre(false, false, false, false));
}

TEST(Plan, MaxPoolTakesTheReLUBeforeItUnlessSomebodyLooks) {
  GraphBuilder build("pool", {2, 4, 4}, 1);
  const int conv = build.conv(0, {.out = 2}), relu = build.unary(conv, Op::kReLU);
  const int pool = build.pool(relu, Op::kMaxPool, 2, 2);
  const Graph graph = std::move(build).finish(build.unary(pool, Op::kReLU), "y");
  const auto alone = plan(graph, {pool + 1});
  EXPECT_THAT(alone.passes, ElementsAre(false, false, true, false, false));
  EXPECT_THAT(alone.rectifies, ElementsAre(false, false, false, true, false));
  EXPECT_FALSE(alone.reusable[static_cast<std::size_t>(pool)]);
  EXPECT_FALSE(plan(graph, {pool + 1, relu}).passes[static_cast<std::size_t>(relu)]);
}

}  // namespace
}  // namespace fedstill
