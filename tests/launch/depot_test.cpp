#include "launch/ranks/depot.h"

#include <gmock/gmock.h>

#include <future>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/job_file.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "tests/launch/temp_folder.h"
#include "training/fit.h"

namespace fedstill::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// One rank with a run folder of its own.
struct Rank {
  explicit Rank(const std::filesystem::path& path)
      : folder(RunFolder::create(path, job)), events(path) {}
  Job job;
  RunFolder folder;
  EventLog events;
  std::ostringstream out;
  Progress progress{out, {.mode = ProgressMode::kQuiet, .now = {}}};
  std::atomic<bool> stop = false;
  Run run{job, folder, events, progress, stop};
};

class DepotTest : public ::testing::Test {
 protected:
  DepotTest() {
    std::tie(to_first_, to_rank_) = make_in_process_channel();
    ranks_.push_back(nullptr);
    ranks_.push_back(std::move(to_rank_));
  }

  // As ClientWork leaves it.
  ClientRecord trained(const std::string& name, const std::string& update) {
    write_file_atomically(other_.folder.client(name) / "update.safetensors", update);
    ClientRecord record;
    record.name = name;
    record.architecture = "mlp";
    record.samples = 7;
    record.sha256 = sha256_hex(std::as_bytes(std::span(update)));
    other_.folder.remember(name, to_json(record));
    return record;
  }
  // A rank that does not keep to what upload() does, and goes.
  void say(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) to_first_->send(frame);
  }
  std::function<void()> serving(const std::string& awaited) {
    return [this, awaited] { Depot(first_.run, ranks_, {awaited}).serve(); };
  }

  TempFolder folder_;
  Rank first_{folder_ / "run"}, other_{folder_ / "other"};
  std::unique_ptr<Channel> to_first_, to_rank_;
  std::vector<std::unique_ptr<Channel>> ranks_;
};

TEST_F(DepotTest, WhatWasTrainedElsewhereIsAsIfItHadBeenTrainedHere) {
  const ClientRecord one = trained("client-01", "weights"), two = trained("client-02", "others");
  auto uploading = std::async(std::launch::async, [&] {
    upload(*to_first_, other_.run, one);
    upload(*to_first_, other_.run, two);
  });
  Depot(first_.run, ranks_, {"client-01", "client-02"}).serve();
  uploading.get();
  for (const ClientRecord& record : {one, two}) {
    EXPECT_EQ(first_.folder.recall(record.name), to_json(record));
    EXPECT_EQ(sha256_hex_of_file(first_.folder.client(record.name) / "update.safetensors"),
              record.sha256);
  }
  EXPECT_FALSE(std::filesystem::exists(first_.folder.file("uploads")));
}

TEST_F(DepotTest, NobodyAwaitedIsNobodyWaitedFor) { Depot(first_.run, ranks_, {}).serve(); }

TEST_F(DepotTest, AClientThatWasNotAwaitedIsRefused) {
  say({{Upload{1, "client-09", std::string(64, 'a'), 7}, {}}});
  EXPECT_THAT(serving("client-01"),
              ThrowsMessage<DecodeError>(HasSubstr("[ranks] rank 1: client-09 was not awaited")));
}

TEST_F(DepotTest, AClaimWithoutItsBlobsIsRefused) {
  say({{Upload{1, "client-01", std::string(64, 'a'), 7}, {}}});
  EXPECT_THAT(serving("client-01"), ThrowsMessage<DecodeError>(HasSubstr("was claimed before")));
}

TEST_F(DepotTest, ARecordOfAnotherUpdateIsRefused) {
  ClientRecord record = trained("client-01", "weights");
  record.samples = 8;  // what is claimed; the record says 7
  auto uploading = std::async(std::launch::async, [&] {
    EXPECT_THROW(upload(*to_first_, other_.run, record), ChannelClosed);
  });
  EXPECT_THAT(serving("client-01"), ThrowsMessage<DecodeError>(HasSubstr("of another update")));
  ranks_.clear();
  uploading.get();
  EXPECT_FALSE(first_.folder.recall("client-01"));
}

TEST_F(DepotTest, WhoIsAskedToStopStops) {
  first_.stop = true;
  EXPECT_THROW(serving("client-01")(), Stopped);
}

}  // namespace
}  // namespace fedstill::tests
