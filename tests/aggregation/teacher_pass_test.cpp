#include "aggregation/teacher_pass.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <system_error>

#include "model/builder.h"
#include "model/decode_error.h"
#include "model/edit.h"
#include "model/model_file.h"
#include "model/random.h"
#include "model/sha256.h"
#include "model/zoo.h"
#include "tests/aggregation/world.h"
#include "tests/support/temporary_folder.h"
#include "training/fit.h"
#include "training/predict.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::int64_t kImages = 37, kClasses = 4;
const ImageShape kShape{.channels = 1, .height = 16, .width = 16};

ImageView some_images() {
  Images images{.shape = kShape, .pixels = {}};
  for (std::int64_t i = 0; i < kImages * images.pixels_per_image(); ++i) {
    images.pixels.push_back(
        static_cast<std::uint8_t>(random_below(5, static_cast<std::uint64_t>(i), 256)));
  }
  ImageView view{.images = std::make_shared<const Images>(std::move(images)), .indices = {}};
  for (std::int64_t i = 0; i < kImages; ++i) view.indices.push_back(kImages - 1 - i);
  return view;
}

Graph with_head(Graph body, std::uint64_t seed, bool sigmoid = true) {
  GraphBuilder head("head", body.input_shape(), seed);
  int node = head.linear(head.unary(0, Op::kFlatten), 1);
  if (sigmoid) node = head.unary(node, Op::kSigmoid);
  node = head.reshape(node, {});
  return attach(std::move(body), 0, std::move(head).finish(node, "h"), "h", "confidence");
}

class TeacherPassTest : public testing::Test {
 protected:
  void add(const Graph& graph, std::int64_t sample_count = 100) {
    const fs::path path = folder_ / ("model-" + std::to_string(teachers_.size()));
    write_model(path, graph);
    teachers_.push_back({.model = path, .hash = model_hash(graph), .sample_count = sample_count});
    graphs_.push_back(graph);
  }
  void add_three() {
    add(with_head(make_model("lenet5", kShape, kClasses, 1), 10));
    add(make_model("cnn3", kShape, kClasses, 2));  // without a confidence
    add(with_head(make_model("mlp", kShape, kClasses, 3), 30));
  }
  PredictionCache pass(const std::string& cache = "cache") {
    return teacher_pass(teachers_, images_, "images", kClasses, normalisation_, folder_ / cache,
                        options_);
  }
  std::string failure() {
    try {
      pass();
    } catch (const DecodeError& error) {
      return error.what();
    }
    return {};
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
  std::vector<Teacher> teachers_;
  std::vector<Graph> graphs_;
  ImageView images_ = some_images();
  Normalisation normalisation_{.mean = {0.4F}, .deviation = {0.3F}};
  TeacherPassOptions options_;
};

TEST_F(TeacherPassTest, PredictionsStandInForAModel) {
  add_three();
  const PredictionCache models = pass("models");
  const PredictionsShape shape{std::string(64, 'a'), kImages, kClasses};
  const fs::path file = folder_ / "predictions";
  write_predictions_file(file, shape, models.logits(0), models.confidences(0));
  teachers_[0] = {file, sha256_hex_of_file(file), 100, shape};
  const PredictionCache mixed = pass("mixed");
  for (std::int64_t client = 0; client < 3; ++client) {
    EXPECT_TRUE(std::ranges::equal(mixed.logits(client), models.logits(client)));
    EXPECT_TRUE(std::ranges::equal(mixed.confidences(client), models.confidences(client)));
  }
  teachers_[0].predictions->samples = 3;
  fs::remove(folder_ / "cache");
  EXPECT_THAT(failure(), HasSubstr("client 0: predictions of other images"));
  teachers_[0].predictions = shape;
  teachers_[0].hash = std::string(64, 'b');
  EXPECT_THAT(failure(), HasSubstr("no longer has hash"));
}

TEST_F(TeacherPassTest, WritesWhatEveryModelPredicts) {
  add_three();
  const PredictionCache cache = pass();
  EXPECT_TRUE(cache.complete());
  const at::Tensor logits = cache.block_logits(0, kImages);
  const at::Tensor confidences = cache.block_confidences(0, kImages);
  for (std::size_t k = 0; k < 3; ++k) {
    const auto client = static_cast<std::int64_t>(k);
    const auto expected =
        predict(graphs_[k], std::vector<std::string>{"logits"}, images_, normalisation_);
    EXPECT_TRUE(at::allclose(logits[client], expected[0], 1e-5, 1e-5)) << k;
  }
  for (std::int64_t i = 0; i < kImages; ++i) {
    EXPECT_EQ(confidences[1][i].item<float>(), 0.5F);
    EXPECT_GT(confidences[0][i].item<float>(), 0.0F);
    EXPECT_LT(confidences[0][i].item<float>(), 1.0F);
  }
  EXPECT_NE(confidences[0][0].item<float>(), confidences[0][1].item<float>());
}

TEST_F(TeacherPassTest, TheNumberOfWorkersDoesNotMatterToTheBit) {
  add_three();
  add_three();
  const std::string one = pass("one").hash();
  for (const int workers : {2, 3, 9}) {
    options_.workers = workers;
    EXPECT_EQ(pass("workers-" + std::to_string(workers)).hash(), one) << workers;
  }
}

TEST_F(TeacherPassTest, StopsAndGoesOnWhereItWas) {
  add_three();
  const std::string uninterrupted = pass("whole").hash();
  std::atomic<bool> stop{false};
  options_.stop = &stop;
  options_.on_progress = [&](std::int64_t client, std::int64_t) { stop = client == 1; };
  EXPECT_THROW(pass(), Stopped);
  {
    const PredictionCache cache = PredictionCache::open(folder_ / "cache");
    EXPECT_TRUE(cache.done(0));
    EXPECT_FALSE(cache.done(2));
  }
  stop = false;
  std::vector<std::int64_t> evaluated;
  options_.on_progress = [&](std::int64_t client, std::int64_t) { evaluated.push_back(client); };
  EXPECT_EQ(pass().hash(), uninterrupted);
  EXPECT_THAT(evaluated, testing::Not(testing::Contains(0)));
  evaluated.clear();
  EXPECT_EQ(pass().hash(), uninterrupted);
  EXPECT_TRUE(evaluated.empty());
}

TEST_F(TeacherPassTest, AStopThatWasAskedForBeforehandEvaluatesNobody) {
  add_three();
  const std::atomic<bool> stop{true};
  options_.stop = &stop;
  options_.workers = 2;
  EXPECT_THROW(pass(), Stopped);
  EXPECT_FALSE(PredictionCache::open(folder_ / "cache").done(0));
}

TEST_F(TeacherPassTest, ReportsProgressInImages) {
  add_three();
  options_.block = 10;
  options_.workers = 2;
  std::vector<std::vector<std::int64_t>> images(3);
  options_.on_progress = [&](std::int64_t client, std::int64_t done) {
    images[static_cast<std::size_t>(client)].push_back(done);
  };
  pass();
  for (const auto& seen : images) EXPECT_THAT(seen, testing::ElementsAre(10, 20, 30, 37));
}

// NaN in one weight of the last layer: one class of every row.
TEST_F(TeacherPassTest, AHostileModelIsReplacedAndNamed) {
  add_three();
  Graph hostile = with_head(make_model("mlp", kShape, kClasses, 4), 40);
  auto& last = hostile.nodes[static_cast<std::size_t>(hostile.output("logits"))].parameters;
  hostile.tensors.at(last[0]).values<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  add(hostile);
  std::vector<std::string> warnings;
  options_.on_warning = [&](std::int64_t client, const std::string& what) {
    warnings.push_back(std::to_string(client) + ": " + what);
  };
  const PredictionCache cache = pass();
  EXPECT_THAT(warnings, testing::ElementsAre(testing::AllOf(HasSubstr("3: of 37 predictions 37"),
                                                            HasSubstr("not finite"))));
  for (const float z : cache.logits(3)) EXPECT_EQ(z, 0.0F);
  for (const float h : cache.confidences(3)) EXPECT_EQ(h, 0.0F);
  const auto labels = make_rule("bounded-odds")
                          ->combine({.logits = cache.block_logits(0, kImages),
                                     .confidences = cache.block_confidences(0, kImages),
                                     .facts = measure_clients(cache)});
  EXPECT_TRUE(at::allclose(labels.labels.sum(1), at::full({kImages}, 1.0F)));
}

TEST_F(TeacherPassTest, AConfidenceOutsideItsRangeIsClamped) {
  Graph loud = with_head(make_model("mlp", kShape, kClasses, 4), 40, /*sigmoid=*/false);
  add(loud);
  std::string warning;
  options_.on_warning = [&](std::int64_t, const std::string& what) { warning = what; };
  const PredictionCache cache = pass();
  EXPECT_THAT(warning, HasSubstr("outside [0, 1]"));
  for (const float h : cache.confidences(0)) {
    EXPECT_GE(h, 0.0F);
    EXPECT_LE(h, 1.0F);
  }
}

TEST_F(TeacherPassTest, AModelThatIsNotTheOneAcceptedIsRefusedByName) {
  add_three();
  options_.workers = 2;
  teachers_[1].hash = teachers_[0].hash;
  EXPECT_THAT(failure(), testing::AllOf(HasSubstr("client 1"), HasSubstr("hash")));
}

TEST_F(TeacherPassTest, DamagedBytesUnderTheRightHashAreRefusedByName) {
  add_three();
  std::ofstream(teachers_[2].model, std::ios::trunc) << "not a model";
  const std::string text = "not a model";
  teachers_[2].hash = sha256_hex(std::as_bytes(std::span(text)));
  EXPECT_THAT(failure(), HasSubstr("client 2"));
}

TEST_F(TeacherPassTest, ModelsForOtherDataAreRefusedByName) {
  add(make_model("mlp", kShape, kClasses + 1, 1));
  EXPECT_THAT(failure(), testing::AllOf(HasSubstr("client 0"), HasSubstr("logits")));
  teachers_.clear();
  add(make_model("mlp", {.channels = 3, .height = 16, .width = 16}, kClasses, 1));
  EXPECT_THAT(failure(), testing::AllOf(HasSubstr("client 0"), HasSubstr("input")));
  teachers_.clear();
  Graph nameless = make_model("mlp", kShape, kClasses, 1);
  nameless.outputs = {{"scores", nameless.output("logits")}};
  add(nameless);
  EXPECT_THAT(failure(), testing::AllOf(HasSubstr("client 0"), HasSubstr("no output")));
  teachers_.clear();
  Graph wide = make_model("mlp", kShape, kClasses, 1);
  wide.outputs["confidence"] = wide.output("logits");
  add(wide);
  EXPECT_THAT(failure(), testing::AllOf(HasSubstr("client 0"), HasSubstr("confidence")));
}

TEST_F(TeacherPassTest, AMissingModelIsASystemError) {
  add_three();
  fs::remove(teachers_[0].model);
  EXPECT_THROW(pass(), std::system_error);
}

TEST_F(TeacherPassTest, NeedsTeachersImagesAndWorkers) {
  EXPECT_THROW(pass(), std::invalid_argument);
  add_three();
  options_.workers = 0;
  EXPECT_THROW(pass(), std::invalid_argument);
  options_.workers = 1;
  images_.indices.clear();
  EXPECT_THROW(pass(), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
