#include "model/onnx_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "model/builder.h"
#include "model/decode_error.h"
#include "model/onnx.h"
#include "model/zoo.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using tests::error_of;
using Bytes = std::vector<std::byte>;

Graph exported_graph() {
  GraphBuilder build("small", {1, 4, 4}, 3);
  const int conv = build.unary(build.conv(0, {.out = 2}), Op::kReLU);
  const int logits = build.linear(build.unary(conv, Op::kFlatten), 3);
  return std::move(build).finish(logits, "logits");
}

std::string refusal(const Bytes& bytes) {
  return error_of<DecodeError>([&] { decode_onnx_summary(bytes); });
}

Bytes edited(const std::string& find, const std::string& replace) {
  const Bytes bytes = encode_onnx(exported_graph(), {{"job", "abc"}});
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto at = text.find(find);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, find.size(), replace);
  const auto out = std::as_bytes(std::span(text));
  return {out.begin(), out.end()};
}

TEST(OnnxSummary, TellsWhatWasWritten) {
  const Graph graph = exported_graph();
  const OnnxSummary found = decode_onnx_summary(encode_onnx(graph, {{"job", "abc"}}));
  EXPECT_EQ(found.ir_version, 8);
  EXPECT_EQ(found.opset, 17);
  EXPECT_EQ(found.producer, "fedstill");
  EXPECT_EQ(found.metadata, (std::map<std::string, std::string>{{"job", "abc"}}));
  EXPECT_EQ(found.inputs,
            (std::vector<OnnxTensorInfo>{{"images", "float32", {"N", "1", "4", "4"}, 0}}));
  EXPECT_EQ(found.outputs, (std::vector<OnnxTensorInfo>{{"logits", "float32", {"N", "3"}, 0}}));
  EXPECT_EQ(found.operators.at("Conv"), 1);
  EXPECT_EQ(found.operators.at("Relu"), 1);
  EXPECT_EQ(found.operators.at("Gemm"), 1);
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : graph.tensors) {
    bytes += static_cast<std::int64_t>(tensor.bytes().size());
  }
  EXPECT_EQ(std::accumulate(found.initializers.begin(), found.initializers.end(), std::int64_t{0},
                            [](auto sum, const auto& tensor) { return sum + tensor.bytes; }),
            bytes);
}

TEST(OnnxSummary, ReadsEveryArchitecture) {
  for (const auto name : zoo_names()) {
    const Graph graph = make_model(name, {3, 32, 32}, 10, 0);
    EXPECT_EQ(decode_onnx_summary(encode_onnx(graph)).inputs.size(), 1u) << name;
  }
}

TEST(OnnxSummary, EveryTruncationIsRefused) {
  const Bytes whole = encode_onnx(exported_graph());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}),
              "no error")
        << size;
  }
}

TEST(OnnxSummary, AnyFlippedByteIsReadOrRefused) {
  const Bytes whole = encode_onnx(exported_graph());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes flipped = whole;
      flipped[i] ^= static_cast<std::byte>(1 << bit);
      EXPECT_NO_THROW(refusal(flipped)) << i;
    }
  }
}

TEST(OnnxSummary, RefusesWhatFedstillDoesNotWrite) {
  EXPECT_THAT(refusal({}), HasSubstr("is missing"));
  EXPECT_THAT(refusal(edited("\x12\x08"
                             "fedstill",
                             "\x1a\x08"
                             "fedstill")),
              HasSubstr("field 3 in a model"));
  EXPECT_THAT(refusal(edited("\x08\x08", "\x09\x08")), HasSubstr("wire type"));
  Bytes twice = encode_onnx(exported_graph());
  const Bytes once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_THAT(refusal(twice), HasSubstr("two graphs"));
}

}  // namespace
}  // namespace fedstill
