#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>

#include "coordinator/store.h"
#include "model/sha256.h"
#include "tests/coordinator/fixture.h"

namespace fedstill {
namespace {

// Records uploads for ever and says the number of each that record_upload() returned from.
[[noreturn]] void record_until_killed(const std::filesystem::path& folder, int first, int pipe) {
  try {
    Store store(folder);
    for (int number = first;; ++number) {
      const auto bytes = numbered_bytes(number, 20'000);
      const std::string client = "client-" + std::to_string(number);
      store.record_join({1, client, "cnn3", number + 1});
      store.blobs().add(bytes);
      store.record_upload({1, client, sha256_hex(bytes), number + 1});
      if (::write(pipe, &number, sizeof(number)) != sizeof(number)) break;
    }
  } catch (...) {
  }
  ::_exit(1);
}

// Kills the child after it acknowledged some uploads and then some microseconds later, in the
// middle of whatever it does. Returns the last number it acknowledged, or `none`.
int run_and_kill(const std::filesystem::path& folder, int first, int uploads,
                 std::chrono::microseconds later, int none) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    record_until_killed(folder, first, ends[1]);
  }
  ::close(ends[1]);
  int number = 0, last = none;
  for (int i = 0; i < uploads && ::read(ends[0], &number, sizeof(number)) == sizeof(number); ++i) {
    last = number;
  }
  const auto until = std::chrono::steady_clock::now() + later;
  while (std::chrono::steady_clock::now() < until) {
  }
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
  while (::read(ends[0], &number, sizeof(number)) == sizeof(number)) last = number;
  ::close(ends[0]);
  return last;
}

TEST(StoreKill, EveryAcknowledgedUploadSurvives) {
  const TemporaryFolder folder;
  constexpr unsigned kSeed = 20;
  std::mt19937 random(kSeed);
  int acknowledged = -1, next = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const int uploads = static_cast<int>(random() % 3);
    const std::chrono::microseconds later(random() % 4000);
    acknowledged = run_and_kill(folder.path(), next, uploads, later, acknowledged);

    const Store store(folder.path());  // undamaged
    const auto stored = store.uploads(1);
    // Numbers are handed out in order, so what is stored is a prefix: all that was acknowledged and
    // at most the one under way.
    const int count = static_cast<int>(stored.size());
    ASSERT_GE(count, acknowledged + 1) << "seed " << kSeed << " trial " << trial;
    ASSERT_LE(count, std::max(acknowledged + 1, next) + 1);
    ASSERT_GE(static_cast<int>(store.joins(1).size()), count);
    for (const StoredUpload& upload : stored) {
      const auto bytes = numbered_bytes(static_cast<int>(upload.sample_count) - 1, 20'000);
      ASSERT_EQ(upload.sha256, sha256_hex(bytes));
      ASSERT_NO_THROW(store.blob(upload.sha256));
    }
    next = count;
    acknowledged = count - 1;
  }
  EXPECT_GT(acknowledged, 10);
}

}  // namespace
}  // namespace fedstill
