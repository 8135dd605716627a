#include "compression/edge/bundle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <system_error>

#include "compression/edge/stored_zip.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/onnx.h"
#include "tests/support/environment.h"
#include "tests/support/oracle.h"
#include "tests/support/wire_graphs.h"

namespace fedstill {
namespace {

using Bytes = std::vector<std::byte>;

EdgeBundle sample_bundle() {
  EdgeBundle bundle{.class_names = {"zero", "één", "two \"quoted\""},
                    .mean = {0.1F, 1.0F / 3.0F},
                    .deviation = {0.25F, 0.5F},
                    .model = sample::quantized(),
                    .onnx = {},
                    .agreement = 0.9975};
  bundle.onnx = encode_onnx(bundle.model);
  return bundle;
}

bool operator==(const EdgeBundle& a, const EdgeBundle& b) {
  return a.class_names == b.class_names && a.mean == b.mean && a.deviation == b.deviation &&
         a.model == b.model && a.onnx == b.onnx && a.agreement == b.agreement;
}

const std::map<std::string, std::size_t> kEntries{
    {"manifest.json", 1 << 20}, {"model.safetensors", 1 << 20}, {"model.onnx", 1 << 20}};

// A bundle taken apart: change an entry, put it together again.
struct Parts {
  std::map<std::string, Bytes> entries = read_stored_zip(encode_bundle(sample_bundle()), kEntries);

  Bytes zip() const {
    std::vector<ZipEntry> list;
    for (const auto& [name, bytes] : entries) list.push_back({name, bytes});
    return write_stored_zip(list);
  }
  Parts& replace(const std::string& from, const std::string& to) {
    Bytes& bytes = entries.at("manifest.json");
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t at = text.find(from);
    if (at == std::string::npos) throw std::logic_error(from + " is not in " + text);
    text.replace(at, from.size(), to);
    const auto view = std::as_bytes(std::span(text));
    bytes.assign(view.begin(), view.end());
    return *this;
  }
};

void expect_refused(const Bytes& bytes, const std::string& part_of_message) {
  try {
    decode_bundle(bytes);
    ADD_FAILURE() << "accepted; expected '" << part_of_message << "'";
  } catch (const DecodeError& error) {
    EXPECT_NE(std::string(error.what()).find(part_of_message), std::string::npos) << error.what();
  }
}

TEST(Bundle, KeepsEverything) {
  EXPECT_TRUE(decode_bundle(encode_bundle(sample_bundle())) == sample_bundle());
  EXPECT_TRUE(decode_bundle(Parts{}.zip()) == sample_bundle());  // entries in another order
}

TEST(Bundle, BytesDependOnNothingButTheContent) {
  const Bytes bytes = encode_bundle(sample_bundle());
  {
    const Variable zone("TZ", "Pacific/Auckland");
    ::tzset();
    EXPECT_EQ(encode_bundle(sample_bundle()), bytes);
  }
  ::tzset();
}

TEST(Bundle, WritesAndReadsAFile) {
  const tests::OracleFolder folder;
  write_bundle(folder.path("edge.zip"), sample_bundle());
  EXPECT_TRUE(read_bundle(folder.path("edge.zip")) == sample_bundle());
  EXPECT_THROW(read_bundle(folder.path("absent.zip")), std::system_error);
}

TEST(Bundle, PythonReadsTheZipAndFindsTheHashes) {
  if (!tests::oracles_are_present()) GTEST_SKIP() << "no Python oracles";
  const tests::OracleFolder folder;
  write_bundle(folder.path("edge.zip"), sample_bundle());
  const tests::OracleResult result = tests::run_oracle("read_bundle.py", {folder.path("edge.zip")});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "manifest.json model.safetensors model.onnx\n3 classes, w8a8, 0.9975\n");
}

TEST(Bundle, EncodingRefusesWhatDoesNotFitTogether) {
  const auto refused = [](auto&& change) {
    EdgeBundle bundle = sample_bundle();
    change(bundle);
    EXPECT_THROW(encode_bundle(bundle), std::invalid_argument);
  };
  refused([](EdgeBundle& b) { b.class_names.pop_back(); });
  refused([](EdgeBundle& b) { b.class_names[0] = "\xff"; });
  refused([](EdgeBundle& b) { b.mean.push_back(0.0F); });
  refused([](EdgeBundle& b) { b.deviation[1] = 0.0F; });
  refused([](EdgeBundle& b) { b.mean[0] = std::numeric_limits<float>::infinity(); });
  refused([](EdgeBundle& b) { b.agreement = 1.5; });
  refused([](EdgeBundle& b) { b.model.activations.pop_back(); });
}

TEST(Bundle, RefusesDamagedBytesOrGivesAWholeBundle) {
  Bytes bytes = encode_bundle(sample_bundle());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(decode_bundle(std::span(bytes).first(size)), DecodeError) << size;
  }
  for (std::byte& byte : bytes) {
    byte ^= std::byte{0x20};
    try {
      encode_bundle(decode_bundle(bytes));
    } catch (const DecodeError&) {
    }
    byte ^= std::byte{0x20};
  }
}

TEST(Bundle, RefusesOtherEntriesThanItsThree) {
  Parts parts;
  parts.entries["extra"] = {};
  expect_refused(parts.zip(), "found 4 entries, expected 3");
  parts.entries.erase("model.onnx");
  expect_refused(parts.zip(), "unknown entry 'extra'");
  parts.entries.erase("extra");
  expect_refused(parts.zip(), "found 2 entries");
}

TEST(Bundle, RefusesBytesAroundTheArchive) {
  Bytes bytes = encode_bundle(sample_bundle());
  bytes.push_back(std::byte{0});
  expect_refused(bytes, "before or after");
  bytes.pop_back();
  bytes.insert(bytes.begin(), std::byte{0});
  expect_refused(bytes, "before or after");
}

TEST(Bundle, RefusesAWrongHashOrSize) {
  Parts other;
  other.entries.at("model.onnx").back() ^= std::byte{1};
  expect_refused(other.zip(), "model.onnx] has SHA-256");
  other.entries.at("model.onnx").pop_back();
  expect_refused(other.zip(), "the manifest says");
  Parts swapped;
  swapped.entries.at("model.safetensors") = encode_model(sample::tiny());
  expect_refused(swapped.zip(), "model.safetensors] has");
}

TEST(Bundle, ManifestIsStrict) {
  expect_refused(Parts{}.replace("\"version\": 1", "\"version\": 2").zip(), "version");
  expect_refused(Parts{}.replace("fedstill.bundle", "zip").zip(), "format");
  expect_refused(Parts{}.replace("\"version\"", "\"x\": 1, \"version\"").zip(), "unknown key 'x'");
  expect_refused(Parts{}.replace("\"version\"", "\"mean\": [], \"version\"").zip(), "twice");
  expect_refused(Parts{}.replace("\"mean\"", "\"maen\"").zip(), "'mean' is missing");
  expect_refused(Parts{}.replace("0.25", "-0.25").zip(), "deviation");
  expect_refused(Parts{}.replace("0.25", "null").zip(), "deviation");
  expect_refused(Parts{}.replace("0.25", "1e99").zip(), "deviation");
  expect_refused(Parts{}.replace("0.9975", "2").zip(), "agreement");
  expect_refused(Parts{}.replace("0.9975", "\"2\"").zip(), "agreement");
  expect_refused(Parts{}.replace("w8a8", "w4a4").zip(), "scheme");
  expect_refused(Parts{}.replace("\"zero\",", "").zip(), "class names");
}

TEST(StoredZip, LimitsHoldBeforeReading) {
  const Bytes content(100, std::byte{7});
  const std::vector<ZipEntry> entries{{"a", content}};
  const Bytes zip = write_stored_zip(entries);
  EXPECT_EQ(read_stored_zip(zip, {{"a", 100}}).at("a"), content);
  EXPECT_THROW(read_stored_zip(zip, {{"a", 99}}), DecodeError);
  EXPECT_THROW(read_stored_zip(zip, {{"b", 100}}), DecodeError);
}

TEST(StoredZip, RefusesARepeatedAndACompressedEntry) {
  const Bytes content(100, std::byte{7});
  const std::vector<ZipEntry> entries{{"a", content}, {"b", content}};
  Bytes zip = write_stored_zip(entries);
  for (std::size_t i = 0; i + 1 < zip.size(); ++i) {  // the name of b in both of its headers
    if (zip[i] == std::byte{'b'}) zip[i] = std::byte{'a'};
  }
  EXPECT_THROW(read_stored_zip(zip, {{"a", 100}, {"b", 100}}), DecodeError);

  zip = write_stored_zip(std::vector<ZipEntry>{{"a", content}});
  const std::string signature = "PK\1\2";
  const auto mark = std::as_bytes(std::span(signature));
  const auto directory = std::search(zip.begin(), zip.end(), mark.begin(), mark.end());
  zip[8] = std::byte{8};  // method: deflate, in the local header and in the directory
  *(directory + 10) = std::byte{8};
  EXPECT_THROW(read_stored_zip(zip, {{"a", 100}}), DecodeError);
}

}  // namespace
}  // namespace fedstill
