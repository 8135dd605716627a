#include "model/onnx.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <sstream>
#include <stdexcept>

#include "model/random.h"
#include "model/zoo.h"
#include "tests/support/naive_executor.h"
#include "tests/support/naive_quantized.h"
#include "tests/support/oracle.h"
#include "tests/support/rough_quantizer.h"
#include "tests/support/wire_graphs.h"

namespace fedstill {
namespace {

using tests::OracleResult;
using tests::run_oracle;

constexpr std::int64_t kBatch = 3;

// ONNX Runtime as the oracle. Python starts slowly, so a test collects its models and runs them in
// one go.
class OnnxRuntime : public ::testing::Test {
 protected:
  using Naive = std::function<std::vector<double>(std::span<const float>)>;

  void SetUp() override {
    if (!tests::oracles_are_present()) GTEST_SKIP() << "no Python oracles";
  }

  std::string Write(std::span<const std::byte> onnx) {
    files_.push_back(folder_.write("model" + std::to_string(files_.size()) + ".onnx", onnx));
    return files_.back();
  }

  // Runs the file's output `name` on a random batch; the naive function says what it should be.
  void Expect(const std::string& file, const SampleShape& shape, const std::string& name,
              double tolerance, const Naive& naive, const std::string& options = "") {
    const auto size = static_cast<std::size_t>(element_count(shape));
    std::vector<float> images(kBatch * size);
    fill_normal(images, expected_.size(), 1.0F);
    const std::string id = std::to_string(expected_.size());
    std::string job = file + " " + folder_.write("images" + id, std::as_bytes(std::span(images))) +
                      " " + std::to_string(kBatch);
    for (const std::int64_t extent : shape) job += " " + std::to_string(extent);
    jobs_ += job + " " + folder_.path("out" + id) + " " + name + " " + options + "\n";
    expected_.push_back({.values = {}, .tolerance = tolerance, .name = file + " " + name});
    for (std::size_t i = 0; i < kBatch; ++i) {
      const auto one = naive(std::span(images).subspan(i * size, size));
      expected_.back().values.insert(expected_.back().values.end(), one.begin(), one.end());
    }
  }

  void ExpectSameFunction(const Graph& graph) {
    const std::string file = Write(encode_onnx(graph));
    for (const auto& [name, node] : graph.outputs) {
      Expect(file, graph.input_shape(), name, 1e-4,
             [&](std::span<const float> image) { return tests::naive_output(graph, image, name); });
    }
  }

  void ExpectSameIntegers(const QuantizedGraph& graph) {
    const std::string file = Write(encode_onnx(graph));
    for (const char* options : {"--plain", ""}) {
      // A tie that rounds the other way moves a hidden code by one; the classifier's weights are
      // below one half, its input scale is 0.027.
      Expect(
          file, graph.graph.input_shape(), "logits", 0.03,
          [&](std::span<const float> image) { return tests::NaiveQuantized(graph).logits(image); },
          options);
    }
  }

  void RunAll() {
    const OracleResult checked = run_oracle("check_onnx.py", files_);
    EXPECT_EQ(checked.status, 0) << checked.output;
    const OracleResult run = run_oracle(
        "ort_run.py", {"--jobs", folder_.write("jobs", std::as_bytes(std::span(jobs_)))});
    ASSERT_EQ(run.status, 0) << run.output;
    for (std::size_t i = 0; i < expected_.size(); ++i) {
      ExpectNear(folder_.read_floats("out" + std::to_string(i)), expected_[i]);
    }
  }

  struct Expected {
    std::vector<double> values;
    double tolerance = 0.0;
    std::string name;
  };

  void ExpectNear(const std::vector<float>& found, const Expected& expected) {
    ASSERT_EQ(found.size(), expected.values.size()) << expected.name;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double tolerance = expected.tolerance * (1.0 + std::abs(expected.values[i]));
      EXPECT_NEAR(found[i], expected.values[i], tolerance) << expected.name << " at " << i;
    }
  }

  tests::OracleFolder folder_;
  std::vector<std::string> files_;
  std::vector<Expected> expected_;
  std::string jobs_;
};

TEST_F(OnnxRuntime, ComputesTheZooLikeTheNaiveEvaluator) {
  for (const std::string_view name : zoo_names()) {
    ExpectSameFunction(make_model(name, {.channels = 3, .height = 16, .width = 16}, 5, 1));
  }
  RunAll();
}

TEST_F(OnnxRuntime, ComputesEveryOperatorAndOutputLikeTheNaiveEvaluator) {
  Graph graph = sample::every_operator();
  ExpectSameFunction(graph);
  graph.outputs["again"] = graph.output("logits");  // two names of one node
  graph.outputs["dropped"] = graph.find("dropped");
  graph.outputs["same"] = 0;
  ExpectSameFunction(graph);
  graph = sample::tiny();  // names of nodes and tensors that meet those of the file
  graph.nodes[1].name = "logits";
  graph.nodes[2].name = "images";
  graph.nodes[3].name = "conv.weight";
  ExpectSameFunction(graph);
  RunAll();
}

QuantizedGraph with_cutting_clamps() {
  QuantizedGraph graph = sample::quantized();
  for (std::size_t i : {3, 4}) graph.activations[i].scale = 2.0F / 255.0F;  // Clip's high is 1.5
  for (std::size_t i : {1, 2}) graph.activations[i].zero_point = 3;         // of a ReLU
  return graph;
}

TEST_F(OnnxRuntime, ComputesTheIntegersThatTheQuantizedGraphMeans) {
  ExpectSameIntegers(sample::quantized());
  ExpectSameIntegers(with_cutting_clamps());
  RunAll();
}

TEST_F(OnnxRuntime, LeavesNoFloatConvolutionInTheQdqForm) {
  Write(encode_onnx(sample::quantized()));
  Write(encode_onnx(with_cutting_clamps()));
  for (const std::string_view name : zoo_names()) {
    const Graph graph = make_model(name, {.channels = 3, .height = 16, .width = 16}, 5, 1);
    std::vector<float> image(3 * 16 * 16);
    fill_normal(image, 1, 1.0F);
    Write(encode_onnx(tests::RoughQuantizer::quantize(graph, image)));
  }
  const OracleResult result = run_oracle("float_convs.py", files_);
  ASSERT_EQ(result.status, 0) << result.output;
  std::istringstream lines(result.output);
  std::string line;
  for (const std::string& file : files_) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_TRUE(line.starts_with("0 ")) << file << ": " << line;
  }
  const std::string first = result.output.substr(0, result.output.find('\n'));
  for (const char* part : {"QLinearConv=3", "QLinearAdd=1", "QGemm=2"}) {
    EXPECT_NE(first.find(part), std::string::npos) << part << " is not in " << first;
  }
}

TEST(Onnx, EqualGraphsGiveEqualBytesAndMetadataIsWritten) {
  EXPECT_EQ(encode_onnx(sample::every_operator()), encode_onnx(sample::every_operator()));
  EXPECT_EQ(encode_onnx(sample::quantized()), encode_onnx(sample::quantized()));
  const auto bytes = encode_onnx(sample::tiny(), {{"round", "seventeen"}});
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_NE(text.find("seventeen"), std::string_view::npos);
}

TEST(Onnx, RefusesAnInvalidGraphAndAnOutputNamedLikeTheInput) {
  Graph graph = sample::tiny();
  graph.outputs = {{"images", 4}};
  EXPECT_THROW(encode_onnx(graph), std::invalid_argument);
  graph.outputs.clear();
  EXPECT_THROW(encode_onnx(graph), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
