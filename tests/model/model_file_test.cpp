#include "model/model_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "model/decode_error.h"
#include "model/safetensors.h"
#include "model/sha256.h"
#include "model/zoo.h"
#include "tests/support/oracle.h"
#include "tests/support/wire_graphs.h"

namespace fedstill {
namespace {

using Bytes = std::vector<std::byte>;

std::string header_of(const Bytes& bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  return {reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<std::size_t>(length)};
}

Bytes with_header(const std::string& header, const Bytes& file) {
  const std::size_t old_end = 8 + header_of(file).size();
  const std::uint64_t length = header.size();
  Bytes bytes(8 + header.size());
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  bytes.insert(bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(old_end), file.end());
  return bytes;
}

// Replaces the first occurrence in the header, which must be there.
Bytes edited(const Bytes& file, const std::string& from, const std::string& to) {
  std::string header = header_of(file);
  const std::size_t at = header.find(from);
  if (at == std::string::npos) throw std::logic_error("'" + from + "' is not in " + header);
  return with_header(header.replace(at, from.size(), to), file);
}

void expect_refused(const Bytes& bytes, const std::string& part_of_message) {
  try {
    decode_model(bytes);
    ADD_FAILURE() << "accepted; expected '" << part_of_message << "'";
  } catch (const DecodeError& error) {
    EXPECT_NE(std::string(error.what()).find(part_of_message), std::string::npos) << error.what();
  }
}

// A damaged header is refused, or is that of another good file.
template <typename Decode>
void expect_safe(const Bytes& bytes, Decode&& decode) {
  try {
    const auto graph = decode(bytes);
    EXPECT_EQ(decode(encode_model(graph)), graph);
  } catch (const DecodeError&) {
  }
}

// Every part of a file and every flip in its tensors is refused.
template <typename Decode>
void expect_survives_damage(Bytes bytes, Decode&& decode) {
  const std::size_t data_begin = 8 + header_of(bytes).size();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decode(part), DecodeError) << "truncated to " << size;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const std::byte good = bytes[at];
    for (const int flip : {0x01, 0x80}) {
      bytes[at] = good ^ std::byte(flip);
      if (at < data_begin) {
        expect_safe(bytes, decode);
      } else {
        EXPECT_THROW(decode(bytes), DecodeError) << at;
      }
    }
    bytes[at] = good;
  }
}

TEST(ModelFile, KeepsEveryOperatorAndEveryBit) {
  const Graph graph = sample::every_operator();
  EXPECT_EQ(decode_model(encode_model(graph)), graph);
}

TEST(ModelFile, KeepsTheZoo) {
  for (const std::string_view name : zoo_names()) {
    const Graph graph = make_model(name, {.channels = 3, .height = 32, .width = 32}, 10, 1);
    EXPECT_EQ(decode_model(encode_model(graph)), graph) << name;
  }
}

TEST(ModelFile, EqualGraphsGiveEqualBytesAndAChangedBitAnotherName) {
  Graph graph = sample::tiny();
  EXPECT_EQ(encode_model(graph), encode_model(sample::tiny()));
  const std::string name = model_hash(graph);
  EXPECT_EQ(name.size(), 64U);
  graph.tensors.at("conv.bias").bytes()[0] ^= std::byte{1};
  EXPECT_NE(model_hash(graph), name);
}

TEST(ModelFile, AttributesThatTheOperatorDoesNotReadAreNotWritten) {
  Graph graph = sample::tiny();
  const Bytes before = encode_model(graph);
  graph.nodes[2].attributes.slope = 7.0F;  // of the ReLU
  EXPECT_EQ(encode_model(graph), before);
}

TEST(ModelFile, FloatsInTheHeaderAreExact) {
  Graph graph = sample::every_operator();
  for (const float slope : {0.1F, 1.0F / 3.0F, 1e-45F, 3.4028235e38F, -0.0F, 16777217.0F}) {
    graph.nodes[static_cast<std::size_t>(graph.find("leaky"))].attributes.slope = slope;
    const Graph read = decode_model(encode_model(graph));
    const float found = read.nodes[static_cast<std::size_t>(read.find("leaky"))].attributes.slope;
    EXPECT_EQ(std::memcmp(&found, &slope, sizeof(float)), 0) << slope;
  }
}

TEST(ModelFile, DataStartsAtACacheLine) {
  EXPECT_EQ((8 + header_of(encode_model(sample::tiny())).size()) % 64, 0U);
}

TEST(ModelFile, WritesAndReadsAFile) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("fedstill_model_file_test_" + std::to_string(::getpid()));
  write_model(path, sample::tiny());
  EXPECT_EQ(read_model(path), sample::tiny());
  EXPECT_THROW(read_model(path, {.max_file_bytes = 16}), DecodeError);
  std::filesystem::remove(path);
  EXPECT_THROW(read_model(path), std::system_error);
}

TEST(ModelFile, EncodingRefusesABrokenGraph) {
  Graph graph = sample::tiny();
  graph.nodes[1].inputs = {3};
  EXPECT_THROW(encode_model(graph), std::invalid_argument);
  graph = sample::tiny();
  graph.architecture = "\xff";
  EXPECT_THROW(encode_model(graph), std::invalid_argument);
}

TEST(ModelFile, SurvivesTruncationAndFlips) {
  expect_survives_damage(encode_model(sample::tiny()),
                         [](const Bytes& bytes) { return decode_model(bytes); });
}

TEST(ModelFile, NamesTheHashOfItsData) {
  const Bytes good = encode_model(sample::tiny());
  const std::string hash = sha256_hex(std::span(good).subspan(8 + header_of(good).size()));
  const std::string entry = "\"fedstill.data_sha256\":\"" + hash + "\",";
  EXPECT_EQ(decode_model(edited(good, entry, "")), sample::tiny());  // as other writers leave it
  std::string other = hash;
  other[63] = other[63] == '0' ? '1' : '0';
  expect_refused(edited(good, hash, other), "sha256 " + hash + ", expected " + other);
  expect_refused(edited(good, hash, ""), "damaged");
}

TEST(ModelFile, RefusesWhatASafetensorsParserMayNotGuess) {
  const Bytes good = encode_model(sample::tiny());
  Bytes trailing = good;
  trailing.push_back(std::byte{0});
  expect_refused(trailing, "after the last tensor");
  Bytes long_header = good;
  long_header[3] = std::byte{1};
  expect_refused(long_header, "exceeds the limit");
  expect_refused(with_header(" " + header_of(good), good), "not a JSON object");
  expect_refused(edited(good, "\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"dtype\":\"F32\""),
                 "appears twice");
  expect_refused(edited(good, "\"conv.bias\"", "\"conv.weight\""), "appears twice");
  expect_refused(edited(good, "\"dtype\":\"F32\"", "\"dtype\":\"F64\""), "F64");
  expect_refused(edited(good, "\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"x\":1"), "unknown key 'x'");
  expect_refused(edited(good, "\"shape\":[2]", "\"shape\":[[2]]"), "other than integers");
  expect_refused(edited(good, "\"shape\":[2]", "\"shape\":[2,0]"), "empty dimension");
  expect_refused(edited(good, "\"shape\":[2]", "\"shape\":[-2]"), "empty dimension");
  expect_refused(edited(good, "\"shape\":[2]", "\"shape\":[4294967296,4294967296,2]"), "elements");
  expect_refused(edited(good, "\"shape\":[2]", "\"shape\":[3]"), "the shape needs 12");
  expect_refused(edited(good, "\"shape\":[2]",
                        "\"shape\":" + std::string(100, '[') + "2" + std::string(100, ']')),
                 "nested deeper");
}

TEST(ModelFile, RefusesOverlapsAndGaps) {
  const Bytes good = encode_model(sample::tiny());
  // In file order: classifier.bias 0..8, classifier.weight 8..24, conv.bias 24..32, conv.weight.
  expect_refused(edited(good, "[24,32]", "[16,24]"), "expected begin");
  expect_refused(edited(good, "[24,32]", "[26,34]"), "expected begin");
  expect_refused(edited(good, "[24,32]", "[32,24]"), "not [begin, end]");
  expect_refused(edited(good, "[24,32]", "[24,32,40]"), "elements, limit 2");
  expect_refused(edited(good, "[24,32]", "[9223372036854775800,9223372036854775808]"), "integers");
}

TEST(ModelFile, LimitsHoldBeforeAnythingIsBuilt) {
  const Bytes good = encode_model(sample::tiny());
  EXPECT_THROW(decode_model(good, {.max_header_bytes = 100}), DecodeError);
  EXPECT_THROW(decode_model(good, {.max_tensors = 3}), DecodeError);
  EXPECT_THROW(decode_model(good, {.max_file_bytes = good.size() - 1}), DecodeError);
  EXPECT_THROW(decode_model(good, {.graph = {.max_nodes = 4}}), DecodeError);
  EXPECT_THROW(decode_model(good, {.graph = {.max_elements = 8}}), DecodeError);
}

TEST(ModelFile, RefusesAGraphThatIsNotExactlyOurs) {
  const Bytes good = encode_model(sample::tiny());
  expect_refused(edited(good, "\"fedstill.version\":\"1\"", "\"fedstill.version\":\"2\""),
                 "version '2'");
  expect_refused(edited(good, "fedstill.version", "fedstill.versiom"), "'fedstill.version'");
  expect_refused(edited(good, "\"fedstill.version\"", "\"fedstill.x\":\"\",\"fedstill.version\""),
                 "unexpected metadata");
  expect_refused(edited(good, "\\\"ReLU\\\"", "\\\"ReLO\\\""), "ReLO");
  expect_refused(edited(good, "\\\"groups\\\"", "\\\"gruops\\\""), "'groups' is missing");
  expect_refused(edited(good, "\\\"groups\\\":1", "\\\"groups\\\":1,\\\"slope\\\":1"),
                 "unknown key 'slope'");
  expect_refused(edited(good, "\\\"groups\\\":1", "\\\"groups\\\":1.5"), "'groups'");
  expect_refused(edited(good, "\\\"groups\\\":1", "\\\"groups\\\":0"), "groups");
  expect_refused(edited(good, "[\\\"conv\\\"]", "[\\\"mean\\\"]"), "not an earlier node");
  expect_refused(edited(good, "\\\"name\\\":\\\"relu\\\"", "\\\"name\\\":\\\"conv\\\""),
                 "two nodes");
  expect_refused(edited(good, "\"conv.bias\"", "\"other\""), "conv.bias");
}

TEST(ModelFile, IgnoresMetadataOfOtherTools) {
  const Bytes bytes = edited(encode_model(sample::tiny()), "\"fedstill.version\"",
                             "\"format\":\"pt\",\"fedstill.version\"");
  EXPECT_EQ(decode_model(bytes), sample::tiny());
}

TEST(QuantizedModelFile, KeepsEveryBit) {
  const QuantizedGraph graph = sample::quantized();
  EXPECT_EQ(decode_quantized_model(encode_model(graph)), graph);
  EXPECT_EQ(encode_model(graph), encode_model(sample::quantized()));
}

TEST(QuantizedModelFile, IsNotAFloatModelAndTheReverse) {
  EXPECT_THROW(decode_model(encode_model(sample::quantized())), DecodeError);
  EXPECT_THROW(decode_quantized_model(encode_model(sample::tiny())), DecodeError);
}

TEST(QuantizedModelFile, SurvivesTruncationAndFlips) {
  expect_survives_damage(encode_model(sample::quantized()),
                         [](const Bytes& bytes) { return decode_quantized_model(bytes); });
}

// What tests/oracle/read_safetensors.py prints for these tensors.
std::string listing(const std::map<std::string, Tensor>& tensors) {
  std::string text;
  const auto sum = [](const auto& values) {
    double total = 0.0;
    for (const auto value : values) total += static_cast<double>(value);
    return std::to_string(total);
  };
  for (const auto& [name, tensor] : tensors) {
    const bool is_code = tensor.dtype() == DType::kI8;
    const bool is_float = tensor.dtype() == DType::kF32;
    text += name + (is_float ? " float32 " : is_code ? " int8 " : " int32 ");
    for (const std::int64_t size : tensor.shape()) text += std::to_string(size) + "x";
    text.back() = ' ';
    text += is_float  ? sum(tensor.values<float>())
            : is_code ? sum(tensor.values<std::int8_t>())
                      : sum(tensor.values<std::int32_t>());
    text += "\n";
  }
  return text;
}

TEST(Safetensors, TheReferenceLibraryReadsTheSameTensors) {
  if (!tests::oracles_are_present()) GTEST_SKIP() << "no Python oracles";
  const tests::OracleFolder folder;
  const Graph real = sample::every_operator();
  const QuantizedGraph codes = sample::quantized();
  const tests::OracleResult result = tests::run_oracle(
      "read_safetensors.py",
      {folder.write("real", encode_model(real)), folder.write("codes", encode_model(codes))});
  std::map<std::string, Tensor> with_scales = codes.graph.tensors;
  for (const auto& [weight, scales] : codes.weight_scales) {
    const auto size = static_cast<std::int64_t>(scales.size());
    with_scales["fedstill.scale:" + weight] = Tensor::of_floats({size}, scales);
  }
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output,
            listing(real.tensors) + "version 1\n" + listing(with_scales) + "version 1\n");
}

TEST(Safetensors, EncodingRefusesWhatCouldNotBeReadBack) {
  const Tensor one = Tensor::of_floats({1}, std::vector<float>{1.0F});
  EXPECT_THROW(encode_safetensors({}, {{"__metadata__", one}}), std::invalid_argument);
  EXPECT_THROW(encode_safetensors({}, {{"empty", Tensor(DType::kF32, {0})}}),
               std::invalid_argument);
  EXPECT_THROW(encode_safetensors({{"long", std::string(2 << 20, 'x')}}, {}),
               std::invalid_argument);
}

TEST(Safetensors, KeepsEveryTypeAndAlignsIt) {
  std::map<std::string, Tensor> tensors;
  for (const DType dtype : {DType::kU8, DType::kF32, DType::kI8, DType::kI64, DType::kI32}) {
    Tensor tensor(dtype, {3});
    for (std::size_t i = 0; i < tensor.bytes().size(); ++i) tensor.bytes()[i] = std::byte(i);
    tensors.emplace(name(dtype), std::move(tensor));
  }
  tensors.emplace("scalar", Tensor(DType::kF32, {}));
  const Bytes bytes = encode_safetensors({{"key", "value \"quoted\" \n"}}, tensors);
  const Safetensors read = decode_safetensors(bytes);
  EXPECT_EQ(read.tensors, tensors);
  EXPECT_EQ(read.metadata.at("key"), "value \"quoted\" \n");
  EXPECT_NE(header_of(bytes).find("\"data_offsets\":[0,24],\"dtype\":\"I64\""), std::string::npos);
}

}  // namespace
}  // namespace fedstill
