#include "training/predict.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mul.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <stdexcept>

#include "tests/support/naive_executor.h"
#include "tests/support/sample_graphs.h"
#include "toy.h"

namespace fedstill {
namespace {

ImageView noise(std::int64_t count, const ImageShape& shape) {
  auto images = std::make_shared<Images>();
  images->shape = shape;
  const std::int64_t pixels = count * images->pixels_per_image();
  for (std::int64_t i = 0; i < pixels; ++i) {
    images->pixels.push_back(
        static_cast<std::uint8_t>(random_below(8, static_cast<std::uint64_t>(i), 256)));
  }
  ImageView view;
  view.images = std::move(images);
  for (std::int64_t i = count; i-- > 0;) view.indices.push_back(i);
  return view;
}

const Normalisation kPlain{{0.3F, 0.4F, 0.5F}, {0.2F, 0.3F, 0.4F}};

// Moves the running statistics off their start, so that folding has something to do.
Graph lived_in(std::string_view name, const ImageShape& shape) {
  Executor executor(make_model(name, shape, 10, 1));
  executor.run(tests::random_tensor({8, shape.channels, shape.height, shape.width}, 1),
               executor.graph().output("logits"), Mode::kTrain, 1);
  return executor.snapshot();
}

TEST(Predict, EqualsTheUnfoldedGraphInEvalMode) {
  const ImageShape shape{.channels = 3, .height = 16, .width = 16};
  const ImageView images = noise(7, shape);
  std::vector<std::int64_t> rows(7);
  std::iota(rows.begin(), rows.end(), 0);
  at::Tensor pixels = at::empty({7, 3, 16, 16}, at::kFloat);
  gather(images, rows, kPlain,
         {pixels.mutable_data_ptr<float>(), static_cast<std::size_t>(pixels.numel())});
  for (const std::string_view name : zoo_names()) {
    const Graph graph = lived_in(name, shape);
    const std::array<std::string, 1> outputs{"logits"};
    Executor executor(graph, {.trainable = false});
    const at::Tensor expected = executor.run(pixels, graph.output("logits"), Mode::kEval);
    for (const std::int64_t block : {3, 7, 500}) {
      std::vector<std::int64_t> told;
      const auto found =
          predict(graph, outputs, images, kPlain, {block, [&](auto n) { told.push_back(n); }});
      ASSERT_EQ(found.size(), 1U);
      EXPECT_TRUE(at::allclose(found[0], expected, 1e-4, 1e-4)) << name << " " << block;
      EXPECT_EQ(told.back(), 7);
      EXPECT_EQ(told.size(), static_cast<std::size_t>((7 + block - 1) / block));
    }
  }
}

TEST(Predict, GivesSeveralOutputsInTheOrderAskedFor) {
  const Graph graph = tests::every_operator_graph(4);
  const ImageView images = noise(5, {.channels = 4, .height = 11, .width = 9});
  const Normalisation plain{{0, 0, 0, 0}, {1, 1, 1, 1}};
  const std::array<std::string, 4> outputs{"scores", "features", "logits", "scores"};
  const auto found = predict(graph, outputs, images, plain, {.block = 2});
  ASSERT_EQ(found.size(), 4U);
  EXPECT_TRUE(at::equal(found[0], found[3]));
  for (std::int64_t i = 0; i < images.count(); ++i) {
    std::vector<float> sample;
    for (const std::uint8_t pixel : images.image(i))
      sample.push_back(static_cast<float>(pixel) / 255.0F);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto expected = tests::naive_output(graph, sample, outputs[o]);
      const auto row = tests::values(found[o][i]);
      ASSERT_EQ(row.size(), expected.size());
      for (std::size_t j = 0; j < row.size(); ++j)
        EXPECT_NEAR(row[j], expected[j], 1e-4) << outputs[o];
    }
  }
}

TEST(Predict, ResultsMayEnterALoss) {
  const std::array<std::string, 1> outputs{"logits"};
  const auto found = predict(make_model("mlp", {.channels = 3, .height = 16, .width = 16}, 10, 1),
                             outputs, noise(4, {.channels = 3, .height = 16, .width = 16}), kPlain);
  at::Tensor weight = tests::random_tensor({4, 10}, 1).set_requires_grad(true);
  at::mul(weight, found[0]).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), found[0]));
}

// 2.5 MB of activations an image: 500 at once would need more than a gigabyte.
TEST(Predict, TakesFewerImagesAtOnceWhereTheyNeedMuchMemory) {
  GraphBuilder build("wide", {3, 8, 8}, 1);
  const int wide = build.unary(build.slice(0, 0, 1), Op::kUpsample);
  Graph graph = std::move(build).finish(wide);
  graph.nodes[static_cast<std::size_t>(wide)].attributes.scale = 100;
  graph.nodes.push_back({.name = "mean", .op = Op::kGlobalAveragePool, .inputs = {wide}});
  graph.outputs["logits"] = wide + 1;
  std::vector<std::int64_t> done;
  const std::vector<std::string> outputs{"logits"};
  predict(graph, outputs, noise(251, {3, 8, 8}), kPlain,
          {.on_block = [&](std::int64_t images) { done.push_back(images); }});
  EXPECT_EQ(done, (std::vector<std::int64_t>{250, 251}));
}

TEST(Predict, NoImagesGiveNoRows) {
  const std::array<std::string, 1> outputs{"logits"};
  const auto found = predict(make_model("mlp", {.channels = 3, .height = 16, .width = 16}, 10, 1),
                             outputs, noise(0, {.channels = 3, .height = 16, .width = 16}), kPlain);
  EXPECT_EQ(found[0].sizes().vec(), (std::vector<std::int64_t>{0, 10}));
}

TEST(Predict, RefusesWhatDoesNotFit) {
  const std::array<std::string, 1> outputs{"logits"};
  const Graph graph = make_model("mlp", {.channels = 3, .height = 16, .width = 16}, 10, 1);
  const ImageView images = noise(2, {.channels = 3, .height = 16, .width = 16});
  EXPECT_THROW(
      predict(graph, outputs, noise(2, {.channels = 1, .height = 16, .width = 16}), kPlain),
      std::invalid_argument);
  EXPECT_THROW(predict(graph, outputs, images, kPlain, {.block = 0}), std::invalid_argument);
  const std::array<std::string, 1> unknown{"nothing"};
  EXPECT_THROW(predict(graph, unknown, images, kPlain), std::invalid_argument);
}

TEST(Accuracy, CountsRowsWhoseLargestEntryIsTheLabel) {
  const at::Tensor scores = tests::random_tensor({3, 2}, 1).zero_();
  scores[0][1].fill_(1.0F);
  scores[1][0].fill_(1.0F);
  scores[2][1].fill_(1.0F);
  const std::array<std::int32_t, 3> labels{1, 0, 0};
  EXPECT_DOUBLE_EQ(accuracy(scores, labels), 2.0 / 3.0);
  EXPECT_THROW(accuracy(scores, std::span(labels).first(2)), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
