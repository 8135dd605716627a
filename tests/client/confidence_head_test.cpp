#include "client/confidence_head.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "data/data_error.h"
#include "model/model_file.h"
#include "model/zoo.h"
#include "tests/client/images.h"
#include "training/predict.h"

namespace fedstill {
namespace {

Graph some_body(const char* architecture = "cnn3") {
  return make_model(architecture, {1, 16, 16}, kClasses, 9);
}

HeadOptions few_head_steps(const std::string& form, std::int64_t steps = 150) {
  HeadOptions options;
  options.form = form;
  options.steps = steps;
  options.seed = 4;
  return options;
}

std::vector<float> confidences(const Graph& graph, const ImageView& images) {
  const std::array<std::string, 1> wanted{"confidence"};
  const at::Tensor values = predict(graph, wanted, images, some_normalisation()).front();
  EXPECT_EQ(values.dim(), 1);
  const at::Tensor dense = values.contiguous();
  const float* data = dense.const_data_ptr<float>();
  return {data, data + dense.numel()};
}

// Share of pairs in which the positive scores higher; ties count half.
double area_under_curve(const std::vector<float>& positives, const std::vector<float>& negatives) {
  double won = 0.0;
  for (const float positive : positives) {
    for (const float negative : negatives) {
      won += positive > negative ? 1.0 : positive == negative ? 0.5 : 0.0;
    }
  }
  return won / static_cast<double>(positives.size() * negatives.size());
}

class ConfidenceHead : public testing::TestWithParam<const char*> {};

TEST_P(ConfidenceHead, SeparatesDifferentDistributions) {
  const Shard own = shard_of({0, 1}, 0);
  const Shard pool = shard_of({2, 3}, 0);
  const HeadResult result = train_confidence_head(some_body(), own.images, pool.images,
                                                  some_normalisation(), few_head_steps(GetParam()));
  EXPECT_EQ(result.report.steps, 150);
  const auto mine = confidences(result.graph, shard_of({0, 1}, 1).images);
  const auto theirs = confidences(result.graph, shard_of({2, 3}, 1).images);
  EXPECT_GT(area_under_curve(mine, theirs), 0.9);
  for (const float value : mine) EXPECT_TRUE(value >= 0.0F && value <= 1.0F);
}

TEST_P(ConfidenceHead, IsUndecidedBetweenEqualDistributions) {
  const Shard own = shard_of({0, 1, 2, 3}, 0);
  const Shard all = shard_of({0, 1, 2, 3}, 1);
  ImageView pool = all.images, held_out = all.images;
  pool.indices.resize(pool.indices.size() / 2);
  held_out.indices.erase(held_out.indices.begin(), held_out.indices.begin() + held_out.count() / 2);
  ImageView trained = own.images, unseen = own.images;
  trained.indices.resize(trained.indices.size() / 2);
  unseen.indices.erase(unseen.indices.begin(), unseen.indices.begin() + unseen.count() / 2);
  const HeadResult result = train_confidence_head(some_body(), trained, pool, some_normalisation(),
                                                  few_head_steps(GetParam(), 60));
  const double area =
      area_under_curve(confidences(result.graph, unseen), confidences(result.graph, held_out));
  EXPECT_NEAR(area, 0.5, 0.1);
}

TEST_P(ConfidenceHead, LeavesTheBodyAlone) {
  const Shard own = shard_of({0}, 0, 60), pool = shard_of({1, 2}, 0, 60);
  for (const char* architecture : {"mlp", "lenet5", "resnet8"}) {
    const Graph body = some_body(architecture);
    const Graph update = train_confidence_head(body, own.images, pool.images, some_normalisation(),
                                               few_head_steps(GetParam(), 3))
                             .graph;
    EXPECT_EQ(update.architecture, body.architecture);
    ASSERT_EQ(update.outputs.size(), 2U);
    EXPECT_TRUE(
        infer_shapes(update)[static_cast<std::size_t>(update.output("confidence"))].empty());
    for (const auto& [name, tensor] : body.tensors) EXPECT_EQ(update.tensors.at(name), tensor);
    const std::array<std::string, 1> wanted{"logits"};
    const auto before = predict(body, wanted, own.images, some_normalisation());
    const auto after = predict(update, wanted, own.images, some_normalisation());
    EXPECT_TRUE(at::equal(before.front(), after.front()));
    EXPECT_EQ(decode_model(encode_model(update)), update);
  }
}

TEST_P(ConfidenceHead, TheSameSeedGivesTheSameHead) {
  const Shard own = shard_of({0}, 0, 60), pool = shard_of({1, 2}, 0, 60);
  const auto hash = [&](std::uint64_t seed) {
    HeadOptions options = few_head_steps(GetParam(), 5);
    options.seed = seed;
    return model_hash(
        train_confidence_head(some_body(), own.images, pool.images, some_normalisation(), options)
            .graph);
  };
  EXPECT_EQ(hash(4), hash(4));
  EXPECT_NE(hash(4), hash(5));
}

TEST_P(ConfidenceHead, OneImageOnEitherSideIsEnough) {
  const Shard one = shard_of({0}, 0, 1), many = shard_of({1, 2}, 0, 60);
  for (const bool own_is_small : {true, false}) {
    const HeadResult result =
        train_confidence_head(some_body(), own_is_small ? one.images : many.images,
                              own_is_small ? many.images : one.images, some_normalisation(),
                              few_head_steps(GetParam(), 3));
    EXPECT_EQ(result.report.steps, 3);
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, ConfidenceHead, testing::Values("pixels", "features"),
                         [](const auto& form) { return std::string(form.param); });

// On images it has not seen, too.
TEST(DistilledHead, AnswersAsItWasTold) {
  const Shard pool = shard_of({0, 1, 2, 3}, 0);
  at::Tensor told = at::empty({pool.images.count()}, at::kFloat);
  for (std::int64_t i = 0; i < told.numel(); ++i) {
    told.mutable_data_ptr<float>()[i] = pool.labels[static_cast<std::size_t>(i)] < 2 ? 0.8F : 0.1F;
  }
  const HeadResult result = distill_confidence_head(
      some_body(), pool.images, told, some_normalisation(), few_head_steps("pixels", 200));
  const auto mean = [&](const std::vector<std::int32_t>& classes) {
    const auto h = confidences(result.graph, shard_of(classes, 1).images);
    return std::accumulate(h.begin(), h.end(), 0.0) / static_cast<double>(h.size());
  };
  EXPECT_NEAR(mean({0, 1}), 0.8, 0.1);
  EXPECT_NEAR(mean({2, 3}), 0.1, 0.1);
}

TEST(DistilledHead, BadConfidencesAreRefused) {
  const Shard pool = shard_of({0, 1}, 0, 60);
  for (const at::Tensor& told :
       {at::Tensor(), at::full({59}, 0.5F), at::full({60, 1}, 0.5F), at::full({60}, 1.5F),
        at::full({60}, std::numeric_limits<float>::quiet_NaN())}) {
    EXPECT_THROW(distill_confidence_head(some_body(), pool.images, told, some_normalisation(),
                                         few_head_steps("pixels", 3)),
                 std::invalid_argument);
  }
}

TEST(ConfidenceHeadErrors, BadInputIsRefused) {
  const Shard own = shard_of({0}, 0, 60), pool = shard_of({1}, 0, 60);
  const auto train = [&](const ImageView& mine, const ImageView& theirs,
                         const HeadOptions& options) {
    train_confidence_head(some_body(), mine, theirs, some_normalisation(), options);
  };
  EXPECT_THROW(train({}, pool.images, few_head_steps("pixels")), DataError);
  EXPECT_THROW(train(own.images, {}, few_head_steps("pixels")), DataError);
  const Dataset other = make_synthetic({1, 20, 20}, 2, 10, 1, 1).train;
  EXPECT_THROW(train(own.images, make_shard(other, {0, 1}).images, few_head_steps("pixels")),
               DataError);
  EXPECT_THROW(train(own.images, pool.images, few_head_steps("wavelets")), std::invalid_argument);
  HeadOptions options = few_head_steps("pixels", 0);
  EXPECT_THROW(train(own.images, pool.images, options), std::invalid_argument);
  options = few_head_steps("pixels");
  options.batch = 1;
  EXPECT_THROW(train(own.images, pool.images, options), std::invalid_argument);
  options = few_head_steps("pixels");
  options.dropout = 1.0;
  EXPECT_THROW(train(own.images, pool.images, options), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
