#include "training/checkpoint.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "model/decode_error.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

Checkpoint sample() {
  const std::array<float, 6> numbers{1, -2, 3, 0.5F, 1e-30F, 1e30F};
  return {.identity = {{"seed", "7"}, {"optimizer", "sgd"}},
          .place = {.steps_done = 9,
                    .images = 300,
                    .epoch_losses = {1.5, 0.25},
                    .loss_sum = 0.75,
                    .seconds = 2.5},
          .tensors = {Tensor::of_floats({2, 3}, numbers),
                      Tensor::of_floats({}, {numbers.data(), 1}), Tensor(DType::kF32, {0, 4})}};
}

// Damage behind a correct checksum, as only a hostile or faulty writer makes it.
std::vector<std::byte> resealed(std::vector<std::byte> bytes) {
  constexpr std::size_t kMagic = 15, kBody = kMagic + 64;
  const std::string digest = sha256_hex(std::span(bytes).subspan(kBody));
  std::memcpy(bytes.data() + kMagic, digest.data(), digest.size());
  return bytes;
}

TEST(Checkpoint, RoundTrips) {
  EXPECT_EQ(decode_checkpoint(encode_checkpoint(sample())), sample());
  EXPECT_EQ(decode_checkpoint(encode_checkpoint({})), Checkpoint{});
}

TEST(Checkpoint, EveryTruncationIsRefused) {
  const std::vector<std::byte> bytes = encode_checkpoint(sample());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(decode_checkpoint(std::span(bytes).first(n)), DecodeError) << n;
    if (n < 79) continue;
    EXPECT_THROW(decode_checkpoint(
                     resealed({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)})),
                 DecodeError)
        << n;
  }
}

TEST(Checkpoint, EveryFlippedByteIsRefused) {
  std::vector<std::byte> bytes = encode_checkpoint(sample());
  for (std::byte& byte : bytes) {
    byte ^= std::byte{0x40};
    EXPECT_THROW(decode_checkpoint(bytes), DecodeError);
    byte ^= std::byte{0x40};
  }
}

TEST(Checkpoint, FlipsBehindAGoodChecksumNeverCrash) {
  const std::vector<std::byte> bytes = encode_checkpoint(sample());
  for (std::size_t i = 79; i < bytes.size(); ++i) {
    for (const int bit : {0x01, 0x80}) {
      std::vector<std::byte> damaged = bytes;
      damaged[i] ^= static_cast<std::byte>(bit);
      try {
        EXPECT_NE(decode_checkpoint(resealed(damaged)), sample());
      } catch (const DecodeError&) {
      }
    }
  }
}

TEST(Checkpoint, TrailingBytesAreRefused) {
  std::vector<std::byte> bytes = encode_checkpoint(sample());
  bytes.push_back(std::byte{0});
  EXPECT_THROW(decode_checkpoint(resealed(bytes)), DecodeError);
}

TEST(Checkpoint, MoreEpochsThanStepsAndNegativeCountsAreRefused) {
  const FitPlace places[] = {{1, 10, {1.0, 2.0}, 0.0, 0.0},
                             {-1, 0, {}, 0.0, 0.0},
                             {3, -1, {}, 0.0, 0.0},
                             {1, 1, {}, 0.0, -1.0},
                             {1, 1, {}, 0.0, std::nan("")}};
  for (const FitPlace& place : places) {
    Checkpoint wrong = sample();
    wrong.place = place;
    EXPECT_THROW(decode_checkpoint(encode_checkpoint(wrong)), DecodeError) << place.steps_done;
  }
}

TEST(Checkpoint, AnotherVersionIsNamed) {
  std::vector<std::byte> bytes = encode_checkpoint(sample());
  bytes[13] = std::byte{'1'};
  try {
    decode_checkpoint(bytes);
    FAIL() << "another version was taken";
  } catch (const DecodeError& error) {
    EXPECT_NE(std::string(error.what()).find("found version 1, expected 3"), std::string::npos);
  }
}

TEST(Checkpoint, IdentityNamesTheFirstDifference) {
  const Checkpoint found = sample();
  EXPECT_NO_THROW(check_identity(found, found.identity, "file"));
  auto longer = found.identity;
  longer.push_back({"more", "1"});
  EXPECT_THROW(check_identity(found, longer, "file"), std::invalid_argument);
  EXPECT_THROW(check_identity(found, {found.identity[0]}, "file"), std::invalid_argument);
  auto other = found.identity;
  other[1].value = "adam";
  EXPECT_THROW(check_identity(found, other, "file"), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
