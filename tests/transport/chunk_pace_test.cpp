#include "transport/chunk_pace.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

using std::chrono::milliseconds;

// A line of so many bytes a second, on which a whole chunk is acknowledged after the last.
std::size_t chunk_on(double bytes_per_second, int chunks) {
  ChunkPace pace;
  milliseconds now{1'000'000};
  pace.begin(now);
  for (int i = 0; i < chunks; ++i) {
    now += milliseconds(
        static_cast<std::int64_t>(1000.0 * static_cast<double>(pace.bytes()) / bytes_per_second));
    pace.acknowledged(now);
  }
  return pace.bytes();
}

TEST(ChunkPace, AFastLineGetsTheLargestAfterAFew) {
  EXPECT_EQ(chunk_on(1e9, 0), 65'536U);
  EXPECT_EQ(chunk_on(1e9, 4), kChunkBytes);
  EXPECT_EQ(chunk_on(1e9, 100), kChunkBytes);
}

TEST(ChunkPace, AThinOneGetsWhatTakesSeconds) {
  EXPECT_EQ(chunk_on(1'000, 10), kLeastChunkBytes);
  for (const double rate : {5e3, 2e4, 1e5, 3e5}) {
    const double seconds = static_cast<double>(chunk_on(rate, 50)) / rate;
    EXPECT_GE(seconds, 1.0) << rate;
    EXPECT_LE(seconds, 4.1) << rate;
  }
}

TEST(ChunkPace, TimeBetweenTwoBlobsIsNobodysFault) {
  ChunkPace pace;
  pace.begin(milliseconds{0});
  pace.acknowledged(milliseconds{10});
  pace.begin(milliseconds{3'600'000});
  pace.acknowledged(milliseconds{3'600'010});
  EXPECT_EQ(pace.bytes(), 4 * 65'536U);
}

}  // namespace
}  // namespace fedstill
