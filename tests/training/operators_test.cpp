#include "training/operators.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mul.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "toy.h"
#include "training/executor.h"

namespace fedstill {
namespace {

using tests::random_tensor;

// One operator between a convolution, through whose weights gradients must flow, and the output.
struct Case {
  std::string name;
  std::function<int(GraphBuilder&, int)> add;
  std::function<void(Node&)> change;  // of the node that was added last, what no builder sets
};

int unary_twice(GraphBuilder& build, int node, Op op) {
  // The second one sees a result that its producer's gradient may need.
  return build.unary(build.unary(node, op), op);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Op op : {Op::kReLU, Op::kClip, Op::kLeakyReLU, Op::kHardSwish, Op::kHardSigmoid,
                      Op::kSigmoid, Op::kTanh, Op::kSoftmax}) {
    all.push_back({std::string(op_name(op)),
                   [op](GraphBuilder& b, int x) { return unary_twice(b, x, op); },
                   {}});
  }
  const auto add = [&](std::string name, std::function<int(GraphBuilder&, int)> body) {
    all.push_back({std::move(name), std::move(body), {}});
  };
  add("Conv2dStrided", [](auto& b, int x) { return b.conv(x, {.out = 6, .stride = 2}); });
  add("Conv2dDepthwise", [](auto& b, int x) { return b.conv(x, {.out = 4, .groups = 4}); });
  add("Conv2dDilated", [](auto& b, int x) { return b.conv(x, {.out = 4}); });
  all.back().change = [](Node& conv) {
    conv.attributes.dilation = conv.attributes.padding = {2, 2};
  };
  add("BatchNorm", [](auto& b, int x) { return b.batch_norm(x); });
  add("BatchNormTanh", [](auto& b, int x) { return b.unary(b.batch_norm(x), Op::kTanh); });
  add("BatchNormReLU", [](auto& b, int x) { return b.unary(b.batch_norm(x), Op::kReLU); });
  add("MaxPool", [](auto& b, int x) { return b.unary(b.pool(x, Op::kMaxPool, 2, 2), Op::kReLU); });
  add("AveragePool", [](auto& b, int x) { return b.pool(x, Op::kAveragePool, 2, 2); });
  add("GlobalAveragePool", [](auto& b, int x) { return b.unary(x, Op::kGlobalAveragePool); });
  add("AddOfBranches", [](auto& b, int x) {
    return b.unary(b.binary(b.conv(x, {.out = 4}), b.unary(x, Op::kTanh), Op::kAdd), Op::kReLU);
  });
  add("AddOfItself", [](auto& b, int x) { return b.binary(x, x, Op::kAdd); });
  add("Mul", [](auto& b, int x) {
    return b.unary(b.binary(b.conv(x, {.out = 4}), b.unary(x, Op::kSigmoid), Op::kMul), Op::kReLU);
  });
  add("Concat", [](auto& b, int x) {
    return b.unary(b.binary(x, b.conv(x, {.out = 2}), Op::kConcat), Op::kReLU);
  });
  add("SliceReLU", [](auto& b, int x) { return b.unary(b.slice(x, 1, 3), Op::kReLU); });
  add("SlicesAdded", [](auto& b, int x) {
    return b.binary(b.unary(b.slice(x, 0, 2), Op::kReLU), b.slice(x, 2, 4), Op::kAdd);
  });
  add("FlattenLinear",
      [](auto& b, int x) { return b.unary(b.linear(b.unary(x, Op::kFlatten), 5), Op::kReLU); });
  add("Reshape", [](auto& b, int x) { return b.unary(b.reshape(x, {2, 12, 6}), Op::kReLU); });
  add("Upsample", [](auto& b, int x) { return b.unary(b.unary(x, Op::kUpsample), Op::kReLU); });
  add("Dropout", [](auto& b, int x) { return b.unary(b.dropout(x, 0.4F), Op::kReLU); });
  return all;
}

class OperatorGradients : public ::testing::TestWithParam<Case> {};

Graph graph_of(const Case& c) {
  GraphBuilder build("case", {3, 6, 6}, 5);
  const int node = c.add(build, build.conv(0, {.out = 4}));
  Graph graph = std::move(build).finish(node, "y");
  if (c.change) c.change(graph.nodes.back());
  return graph;
}

// A weighted sum of the outputs: every element matters differently.
at::Tensor loss_of(Executor& executor, const at::Tensor& images) {
  const at::Tensor y =
      executor.run(images, executor.graph().output("y"), Mode::kTrain, /*dropout_key=*/7);
  return at::mul(y, random_tensor(y.sizes().vec(), 11)).sum(at::kDouble);
}

// The order of dimensions in which a tensor of either layout is one row of memory.
std::vector<std::int64_t> memory_order(const at::Tensor& value) {
  const bool last = value.dim() == 4 && value.is_contiguous(at::MemoryFormat::ChannelsLast);
  if (last) return {0, 2, 3, 1};
  std::vector<std::int64_t> order(static_cast<std::size_t>(value.dim()));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// Differences of the loss by single elements of one parameter, evenly chosen from all of it. Where
// a ReLU or a maximum changes its mind on one side of the step, the other side has the slope.
void expect_gradient(Executor& executor, const Executor::Parameter& p, const at::Tensor& images) {
  constexpr std::int64_t kMostElements = 24;
  constexpr double kStep = 2e-3;
  const at::Tensor gradient = p.value.grad();
  ASSERT_TRUE(gradient.defined()) << p.name;
  const at::Tensor flat = p.value.permute(memory_order(p.value)).view({-1});
  const at::Tensor expected = gradient.permute(memory_order(p.value)).reshape({-1});
  const double tolerance = 0.02 * expected.norm().item<double>() + 2e-3;
  const double middle = loss_of(executor, images).item<double>();
  for (std::int64_t i = 0; i < flat.numel(); i += 1 + flat.numel() / kMostElements) {
    const double before = flat[i].item<float>(), slope = expected[i].item<double>();
    const auto error_on = [&](double step) {
      flat[i].fill_(before + step);
      const double found = (loss_of(executor, images).item<double>() - middle) / step;
      flat[i].fill_(before);
      return std::abs(found - slope);
    };
    EXPECT_LE(std::min(error_on(kStep), error_on(-kStep)), tolerance)
        << p.name << "[" << i << "], expected " << slope;
  }
}

TEST_P(OperatorGradients, AgreeWithFiniteDifferences) {
  for (const bool channels_last : {false, true}) {
    SCOPED_TRACE(channels_last);
    Executor executor(graph_of(GetParam()), {.channels_last = channels_last});
    const at::Tensor images = random_tensor({3, 3, 6, 6}, 2);
    loss_of(executor, images).backward();
    const at::NoGradGuard no_grad;
    double most = 0.0;
    for (const auto& p : executor.parameters()) {
      if (!p.trained) continue;
      expect_gradient(executor, p, images);
      most = std::max(most, p.value.grad().abs().max().item<double>());
    }
    EXPECT_GT(most, 1e-2);
  }
}

INSTANTIATE_TEST_SUITE_P(All, OperatorGradients, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(Operators, InputCannotBeApplied) {
  const Node node;
  const at::Generator none;
  EXPECT_THROW(apply_operator({node, {}, {}, {}, false, false, false, none}), std::logic_error);
}

}  // namespace
}  // namespace fedstill
