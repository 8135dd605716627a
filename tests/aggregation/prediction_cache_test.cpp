#include "aggregation/prediction_cache.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include "model/decode_error.h"
#include "tests/aggregation/world.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

class PredictionCacheTest : public testing::Test {
 protected:
  PredictionCache create() { return PredictionCache::open_or_create(path_, key_of(world_)); }
  void create_complete() {
    PredictionCache cache = create();
    write_world(cache, world_);
  }
  std::vector<char> bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void replace(std::span<const char> content) const {
    std::ofstream out(path_, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  void flip(std::uint64_t at) const {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(file.get() ^ 0x10);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  void expect_holds_the_world(const PredictionCache& cache) const {
    EXPECT_TRUE(cache.complete());
    const auto samples = static_cast<std::int64_t>(world_.samples);
    EXPECT_TRUE(at::equal(cache.block_logits(0, samples), logits_of(world_)));
    EXPECT_TRUE(at::equal(cache.block_confidences(0, samples), confidences_of(world_)));
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
  fs::path path_ = folder_ / "round-1.cache";
  World world_ = make_world(3, 20, 5, 1);
};

TEST_F(PredictionCacheTest, RoundTrip) {
  create_complete();
  const PredictionCache cache = PredictionCache::open(path_);
  EXPECT_EQ(cache.key(), key_of(world_));
  EXPECT_EQ(cache.clients(), 3);
  expect_holds_the_world(cache);
  EXPECT_EQ(cache.logits(1)[0], world_.logits[100]);
  EXPECT_EQ(cache.confidences(2)[19], world_.confidences[59]);
  EXPECT_EQ(cache.block_logits(4, 9)[2][1][3].item<float>(), world_.logits[2 * 100 + 5 * 5 + 3]);
  EXPECT_EQ(files(), 1U);
}

TEST_F(PredictionCacheTest, WhatIsDoneSurvivesReopening) {
  {
    PredictionCache cache = create();
    EXPECT_FALSE(cache.done(1));
    cache.write(1, logits_of(world_)[1], confidences_of(world_)[1]);
  }
  PredictionCache cache = create();
  EXPECT_FALSE(cache.done(0));
  EXPECT_TRUE(cache.done(1));
  EXPECT_FALSE(cache.complete());
  EXPECT_THROW(cache.hash(), std::logic_error);
  write_world(cache, world_);  // the done part is written again
  expect_holds_the_world(cache);
}

TEST_F(PredictionCacheTest, AnotherKeyReplacesTheFile) {
  create_complete();
  World other = world_;
  other.counts[0] += 1;
  const PredictionCache cache = PredictionCache::open_or_create(path_, key_of(other));
  EXPECT_FALSE(cache.done(0));
  EXPECT_EQ(cache.key(), key_of(other));
}

TEST_F(PredictionCacheTest, ADamagedFileIsReplaced) {
  for (const std::string& content : {std::string(), std::string("x"), std::string(5000, '\0')}) {
    replace(content);
    EXPECT_THROW(PredictionCache::open(path_), DecodeError);
    EXPECT_FALSE(create().done(0));
  }
}

TEST_F(PredictionCacheTest, TruncationAnywhereIsRefused) {
  create_complete();
  const auto whole = bytes();
  for (std::size_t length = whole.size(); length > 0;) {
    length -= length < 700 ? 1 : 13;
    fs::resize_file(path_, length);
    EXPECT_THROW(PredictionCache::open(path_), DecodeError) << length;
  }
  auto longer = whole;
  longer.push_back('\0');
  replace(longer);
  EXPECT_THROW(PredictionCache::open(path_), DecodeError);
}

// Bytes between the parts are the only ones that nobody reads.
TEST_F(PredictionCacheTest, EveryFlippedByteIsRefused) {
  create_complete();
  const CacheHeader header = make_cache_header(key_of(world_));
  const std::uint64_t logits_end = header.logits_offset + world_.logits.size() * sizeof(float);
  for (std::uint64_t i = 0; i < header.file_bytes; ++i) {
    if (i >= logits_end && i < header.confidences_offset) continue;
    flip(i);
    EXPECT_THROW(PredictionCache::open(path_), DecodeError) << i;
    flip(i);
  }
  expect_holds_the_world(PredictionCache::open(path_));
}

TEST_F(PredictionCacheTest, TheHashIsThatOfTheContent) {
  create_complete();
  const std::string hash = PredictionCache::open(path_).hash();
  fs::remove(path_);
  create_complete();
  EXPECT_EQ(PredictionCache::open(path_).hash(), hash);
  world_.logits[17] += 1.0F;
  create_complete();
  EXPECT_NE(PredictionCache::open(path_).hash(), hash);
}

TEST_F(PredictionCacheTest, DifferentClientsMayBeWrittenFromDifferentThreads) {
  world_ = make_world(8, 500, 10, 2);
  PredictionCache cache = create();
  const at::Tensor logits = logits_of(world_), confidences = confidences_of(world_);
  {
    std::vector<std::jthread> writers;
    for (std::int64_t k = 0; k < 8; ++k) {
      writers.emplace_back([&, k] { cache.write(k, logits[k], confidences[k]); });
    }
  }
  expect_holds_the_world(cache);
  expect_holds_the_world(PredictionCache::open(path_));
}

TEST_F(PredictionCacheTest, RefusesPartsOfAnotherShape) {
  PredictionCache cache = create();
  const at::Tensor logits = logits_of(world_)[0], confidences = confidences_of(world_)[0];
  EXPECT_THROW(cache.write(3, logits, confidences), std::invalid_argument);
  EXPECT_THROW(cache.write(-1, logits, confidences), std::invalid_argument);
  EXPECT_THROW(cache.write(0, logits.narrow(0, 0, 19), confidences), std::invalid_argument);
  EXPECT_THROW(cache.write(0, logits, confidences.narrow(0, 0, 19)), std::invalid_argument);
  EXPECT_THROW(cache.write(0, logits.to(at::kDouble), confidences), std::invalid_argument);
  EXPECT_THROW(cache.block_logits(0, 21), std::invalid_argument);
  EXPECT_THROW(cache.block_confidences(5, 4), std::invalid_argument);
  EXPECT_FALSE(cache.done(0));
}

TEST_F(PredictionCacheTest, AReaderCannotWrite) {
  create_complete();
  PredictionCache cache = PredictionCache::open(path_);
  EXPECT_THROW(cache.write(0, logits_of(world_)[0], confidences_of(world_)[0]), std::logic_error);
}

TEST_F(PredictionCacheTest, AMissingFileOrFolderIsASystemError) {
  EXPECT_THROW(PredictionCache::open(path_), std::system_error);
  EXPECT_THROW(PredictionCache::open_or_create(folder_ / "missing" / "x", key_of(world_)),
               std::system_error);
}

// A limit on the file size stands in for a full disk: reserving the space fails in the same place.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(PredictionCacheTest, AFullDiskIsASystemErrorAndLeavesNothing) {
  {
    const FileSizeLimit limit(600);
    EXPECT_THROW(create(), std::system_error);
  }
  EXPECT_EQ(files(), 0U);
}

TEST_F(PredictionCacheTest, AFullDiskLeavesTheOldCache) {
  create_complete();
  World larger = make_world(3, 2000, 5, 3);
  {
    const FileSizeLimit limit(8192);
    EXPECT_THROW(PredictionCache::open_or_create(path_, key_of(larger)), std::system_error);
  }
  EXPECT_EQ(files(), 1U);
  expect_holds_the_world(PredictionCache::open(path_));
}

}  // namespace
}  // namespace fedstill
