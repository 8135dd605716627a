#include "data/predictions_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

PredictionsShape two_classes() { return {std::string(64, 'a'), 3, 2}; }
const std::vector<float> kLogits{1.0F, -2.5F, 0.0F, 1e6F, -1e6F, 3.0F};
const std::vector<float> kConfidences{0.0F, 1.0F, 0.25F};

class PredictionsFileTest : public ::testing::Test {
 protected:
  void SetUp() override { write_predictions_file(file_, two_classes(), kLogits, kConfidences); }
  std::vector<std::byte> bytes() const { return read_file(file_, 1 << 20); }
  static void expect_refused(const std::vector<std::byte>& bytes, const std::string& why = "",
                             const PredictionsShape& shape = two_classes()) {
    try {
      decode_predictions(bytes, shape);
      ADD_FAILURE() << "accepted, expected: " << why;
    } catch (const DecodeError& error) {
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  }
  std::vector<std::byte> with_value(std::size_t index, float value) const {
    auto changed = bytes();
    std::memcpy(changed.data() + 128 + 4 * index, &value, 4);
    return changed;
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "predictions";
};

TEST_F(PredictionsFileTest, RoundTrip) {
  const PoolPredictions back = read_predictions_file(file_, two_classes());
  EXPECT_EQ(back.logits, kLogits);
  EXPECT_EQ(back.confidences, kConfidences);
  EXPECT_EQ(find_predictions_problem(file_, two_classes()), "");
  EXPECT_EQ(bytes().size(), predictions_file_bytes(two_classes()));
}

TEST_F(PredictionsFileTest, TheHeaderTellsTheShape) {
  EXPECT_EQ(decode_predictions_shape(bytes()), two_classes());
  const auto whole = bytes();
  for (std::size_t size = 0; size < 128; ++size) {
    EXPECT_THROW(decode_predictions_shape(std::span(whole).first(size)), DecodeError) << size;
  }
  for (const std::size_t at : {0, 8, 12, 23, 31, 127}) {  // 23, 31: the sign of a count
    auto changed = whole;
    changed[at] ^= std::byte{0x80};
    EXPECT_THROW(decode_predictions_shape(changed), DecodeError) << at;
  }
}

TEST_F(PredictionsFileTest, GoldenBytes) {
  std::string expected("FSTLPRED\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 32);
  expected += std::string(64, 'a') + std::string(32, '\0');
  expected += std::string("\0\0\x80\x3f\0\0\x20\xc0", 8);
  const auto found = bytes();
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size()), 0);
}

TEST_F(PredictionsFileTest, MoreThanOnePieceRoundTrips) {
  const PredictionsShape shape{std::string(64, 'b'), 70'001, 10};
  std::vector<float> logits(700'010), confidences(70'001);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 977) - 400.0F;
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    confidences[i] = static_cast<float>(i % 100) / 100.0F;
  }
  write_predictions_file(file_, shape, logits, confidences);
  const PoolPredictions back = read_predictions_file(file_, shape);
  EXPECT_EQ(back.logits, logits);
  EXPECT_EQ(back.confidences, confidences);
}

TEST_F(PredictionsFileTest, EveryTruncationAndOneByteMoreIsRefused) {
  auto whole = bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    expect_refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}, "bytes");
  }
  whole.push_back(std::byte{0});
  expect_refused(whole, "bytes");
}

TEST_F(PredictionsFileTest, EveryFlippedBitOfTheHeaderIsRefused) {
  for (std::size_t bit = 0; bit < 8 * 128; ++bit) {
    auto damaged = bytes();
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    expect_refused(damaged, "header");
  }
}

TEST_F(PredictionsFileTest, AnotherPoolOrShapeIsRefused) {
  PredictionsShape other = two_classes();
  other.pool_hash = std::string(64, 'b');
  expect_refused(bytes(), "header", other);
  expect_refused(bytes(), "header", {std::string(64, 'a'), 1, 8});  // as many values
  expect_refused(bytes(), "bytes", {std::string(64, 'a'), 3, 3});
  EXPECT_NE(find_predictions_problem(file_, other), "");
}

TEST_F(PredictionsFileTest, ValuesThatMeanNothingAreRefused) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kNan, -kNan, kInfinity, -kInfinity, 1.1e6F, -1.1e6F}) {
    for (std::size_t i = 0; i < 6; ++i) expect_refused(with_value(i, bad), "a logit");
  }
  for (const float bad : {kNan, kInfinity, -0.001F, 1.001F}) {
    for (std::size_t i = 6; i < 9; ++i) expect_refused(with_value(i, bad), "a confidence");
    write_file_atomically(file_, with_value(7, bad));
    EXPECT_NE(find_predictions_problem(file_, two_classes()), "");
    SetUp();
  }
}

TEST_F(PredictionsFileTest, WhoIsSureOfEverythingIsRefused) {
  const std::vector<float> ones{1.0F, 1.0F, 1.0F};
  EXPECT_THROW(write_predictions_file(file_, two_classes(), kLogits, ones), std::invalid_argument);
  auto damaged = with_value(6, 1.0F);
  const float one = 1.0F;
  std::memcpy(damaged.data() + 128 + 4 * 8, &one, 4);
  expect_refused(damaged, "every confidence is 1");
}

TEST_F(PredictionsFileTest, TheCallersMistakes) {
  EXPECT_THROW(write_predictions_file(file_, two_classes(), kConfidences, kConfidences),
               std::invalid_argument);
  EXPECT_THROW(predictions_file_bytes({std::string(64, 'a'), 0, 2}), std::invalid_argument);
  EXPECT_THROW(predictions_file_bytes({std::string(64, 'a'), 2, 0}), std::invalid_argument);
  EXPECT_THROW(predictions_file_bytes({std::string(64, 'a'), INT64_MAX, INT64_MAX}),
               std::invalid_argument);
  EXPECT_THROW(write_predictions_file(file_, {"short", 3, 2}, kLogits, kConfidences),
               std::invalid_argument);
  EXPECT_THROW(read_predictions_file(folder_.path() / "no", two_classes()), std::system_error);
}

}  // namespace
}  // namespace fedstill
