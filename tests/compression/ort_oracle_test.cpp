// ONNX Runtime as the judge of what we ship: it must run our ONNX file in integers and name the
// classes that the interpreter names.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "compression/edge/classify.h"
#include "compression/quantize.h"
#include "compression/verify.h"
#include "model/onnx.h"
#include "tests/compression/sample_students.h"
#include "tests/support/oracle.h"
#include "training/predict.h"

namespace fedstill {
namespace {

using tests::OracleFolder;
using tests::run_oracle;

struct Verdict {
  std::vector<int> integer_classes, runtime_classes;
  double agreement = 0.0;
  double float_accuracy = 0.0;
  std::string left_over;  // by ONNX Runtime's optimiser: "<float layers> Op=count …"
};

std::vector<std::byte> normalised_images() {
  const ImageView images = test::test_images();
  const std::int64_t size = images.images->pixels_per_image();
  std::vector<float> values(static_cast<std::size_t>(images.count() * size));
  gather(images, images.indices, test::small_normalisation(), values);
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

// Python and ONNX Runtime take a second to load, so all models of the zoo share one visit.
std::map<std::string, Verdict> ask_all() {
  const OracleFolder folder;
  const std::string images = folder.write("images.f32", normalised_images());
  const std::int64_t count = test::test_images().count();
  std::map<std::string, Verdict> verdicts;
  std::string jobs;
  std::vector<std::string> models;
  for (const std::string_view name : zoo_names()) {
    const Graph student = test::trained(name);
    const QuantizedGraph quantized =
        quantize(student, "w8a8", test::calibration_images(), test::small_normalisation());
    Verdict& verdict = verdicts[std::string(name)];
    verdict.agreement = verify(student, quantized, test::test_images(), test::small_normalisation(),
                               {.minimum_agreement = 0.0, .layer_images = 32})
                            .agreement;
    verdict.integer_classes =
        classify(quantized, count, [](std::int64_t i) { return test::test_images().image(i); },
                 {test::small_normalisation().mean, test::small_normalisation().deviation});
    const std::vector<std::string> logits{"logits"};
    verdict.float_accuracy =
        accuracy(predict(student, logits, test::test_images(), test::small_normalisation())[0],
                 test::small_images().test.labels);
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
  const auto& labels = test::small_images().test.labels;
  const double got = share_equal(verdict().integer_classes, labels);
  // Images that change class gain as often as they lose: two standard deviations of that.
  const double changed = (1.0 - verdict().agreement) / static_cast<double>(labels.size());
  EXPECT_GE(got, verdict().float_accuracy - 0.005 - 2.0 * std::sqrt(changed));
  EXPECT_GE(got, 0.4) << "the student learned nothing that it could lose";
  EXPECT_GE(verdict().agreement, 0.8);  // of the deepest, hardly trained
}

}  // namespace
}  // namespace fedstill
