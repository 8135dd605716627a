// ONNX Runtime as the judge of what we ship: it must run our ONNX file in integers and name the
// classes that the interpreter names.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "compression/edge/classify.h"
#include "compression/quantize.h"
#include "model/onnx.h"
#include "tests/compression/sample_students.h"
#include "tests/support/oracle.h"
#include "training/predict.h"

namespace fedstill {
namespace {

using tests::OracleFolder;
using tests::run_oracle;

bool runs_long_tests() { return std::getenv("FEDSTILL_LONG") != nullptr; }

// What quantization costs shows in a student that has learned something: epochs until it answers
// as an integer model on almost every image, or as many as fit into the seconds there are.
std::int64_t epochs_of(std::string_view name) {
  if (runs_long_tests()) return 6;
  return name == "vgg-small" ? 1 : name == "ghostnet-small" ? 4 : 2;
}

// More images than the small ones: half a point is to be measurable.
const TrainTest& many_images() {
  static const TrainTest images = make_synthetic(test::kSmallImage, test::kClasses, 640, 3000, 3);
  return images;
}

const Normalisation& normalisation() {
  static const Normalisation measured = measure_normalisation(test::view_of(many_images().train));
  return measured;
}

constexpr std::size_t kCalibrationImages = 320;

struct Verdict {
  std::vector<int> float_classes, integer_classes, runtime_classes;
  std::string left_over;  // by ONNX Runtime's optimiser: "<float layers> Op=count …"
};

std::vector<std::byte> normalised_images() {
  const ImageView images = test::view_of(many_images().test);
  const std::int64_t size = images.images->pixels_per_image();
  std::vector<float> values(static_cast<std::size_t>(images.count() * size));
  gather(images, images.indices, normalisation(), values);
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

std::vector<int> rows_of_largest(const at::Tensor& logits) {
  const at::Tensor dense = logits.contiguous();
  return top_classes({dense.const_data_ptr<float>(), static_cast<std::size_t>(dense.numel())},
                     dense.size(0));
}

// Python and ONNX Runtime take a second to load, so all models of the zoo share one visit.
std::map<std::string, Verdict> ask_all() {
  const OracleFolder folder;
  const std::string images = folder.write("images.f32", normalised_images());
  const ImageView view = test::view_of(many_images().test);
  ImageView calibration = test::view_of(many_images().train);
  calibration.indices.resize(kCalibrationImages);
  const std::int64_t count = view.count();
  std::map<std::string, Verdict> verdicts;
  std::string jobs;
  std::vector<std::string> models;
  for (const std::string_view name : zoo_names()) {
    const Graph student =
        test::trained(name, many_images().train, normalisation(), epochs_of(name));
    const QuantizedGraph quantized = quantize(student, "w8a8", calibration, normalisation());
    Verdict& verdict = verdicts[std::string(name)];
    verdict.integer_classes =
        classify(quantized, count, [&](std::int64_t i) { return view.image(i); },
                 {normalisation().mean, normalisation().deviation});
    const std::vector<std::string> logits{"logits"};
    verdict.float_classes = rows_of_largest(predict(student, logits, view, normalisation())[0]);
    models.push_back(folder.write(std::string(name) + ".onnx", encode_onnx(quantized)));
    jobs += models.back() + " " + images + " " + std::to_string(count) + " 1 16 16 " +
            folder.path(std::string(name)) + "\n";
  }
  const auto job_file = folder.write("jobs.txt", std::as_bytes(std::span(jobs)));
  const auto ran = run_oracle("ort_run.py", {"--jobs", job_file});
  EXPECT_EQ(ran.status, 0) << ran.output;
  const auto looked = run_oracle("float_convs.py", models);
  EXPECT_EQ(looked.status, 0) << looked.output;
  std::istringstream lines(looked.output);
  for (const std::string_view name : zoo_names()) {
    Verdict& verdict = verdicts[std::string(name)];
    std::getline(lines, verdict.left_over);
    verdict.runtime_classes = top_classes(folder.read_floats(std::string(name)), count);
  }
  return verdicts;
}

class OrtOracle : public ::testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    static const bool present = tests::oracles_are_present();
    if (!present) GTEST_SKIP() << "no Python oracles";
  }
  static const Verdict& verdict() {
    static const std::map<std::string, Verdict> verdicts = ask_all();
    return verdicts.at(std::string(GetParam()));
  }
};

INSTANTIATE_TEST_SUITE_P(Zoo, OrtOracle, ::testing::ValuesIn(zoo_names()), [](const auto& model) {
  std::string name(model.param);
  std::erase(name, '-');
  return name;
});

double share_equal(const auto& a, const auto& b) {
  double same = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  return same / static_cast<double>(a.size());
}

TEST_P(OrtOracle, NamesTheClassesThatTheInterpreterNames) {
  ASSERT_EQ(verdict().runtime_classes.size(), verdict().integer_classes.size());
  EXPECT_GE(share_equal(verdict().integer_classes, verdict().runtime_classes), 0.995);
}

TEST_P(OrtOracle, RunsEveryLayerButTheLastInIntegers) {
  EXPECT_EQ(verdict().left_over.substr(0, 2), "0 ") << verdict().left_over;
  const bool has_layers = verdict().left_over.find("QLinearConv=") != std::string::npos ||
                          verdict().left_over.find("QGemm=") != std::string::npos;
  EXPECT_TRUE(has_layers) << verdict().left_over;
}

TEST_P(OrtOracle, LosesAtMostHalfAPointOfAccuracy) {
  if (GetParam() == "mobilenetv2-small" && !runs_long_tests()) {
    GTEST_SKIP() << "with FEDSTILL_LONG: hardly trained it changes its mind on 7 % of the images";
  }
  const auto& labels = many_images().test.labels;
  const double was = share_equal(verdict().float_classes, labels);
  EXPECT_GE(was, 0.7) << "the student learned nothing that it could lose";
  EXPECT_GE(share_equal(verdict().integer_classes, labels), was - 0.005);
  EXPECT_GE(share_equal(verdict().runtime_classes, labels), was - 0.005);
}

}  // namespace
}  // namespace fedstill
