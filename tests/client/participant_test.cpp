// The whole conversation with a real coordinator is in tests/coordinator; here the other side is
// the test itself.
#include "client/participant.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <stdexcept>

#include "model/atomic_file.h"
#include "model/sha256.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"
#include "transport/peer_refused.h"

namespace fedstill {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono::milliseconds;

RoundPlan plan_of(std::uint32_t round) {
  return {std::string(64, 'a'), round, std::string(64, 'b'), 3};
}

class ParticipantTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.first_wait = options_.longest_wait = 1ms;
    options_.poll = 1ms;
    work_.make_update = [this](const RoundPlan& plan, WorkProgress& progress,
                               const std::atomic<bool>& stop) {
      ++begun_;
      for (std::uint64_t done = 1; block_ && !stop; ++done) {
        progress.report({"training", done, 1'000'000});
        std::this_thread::yield();
      }
      if (stop) ++stopped_;
      if (fails_) throw std::runtime_error("out of luck");
      const auto file = folder_.path() / ("update" + std::to_string(plan.round));
      write_file_atomically(file, "update " + std::to_string(plan.round));
      return file;
    };
    work_.on_trouble = [this](const std::string& what) { troubles_.push_back(what); };
  }
  void TearDown() override {
    stop_ = true;
    block_ = false;
    if (site_.valid()) site_.wait();
  }

  void start() {
    site_ = std::async(std::launch::async, [this] {
      ClientStore store(folder_.path() / "state");
      ClientSession session({"site", "tiny", 100}, store);
      const auto connect = [this] {
        auto [here, there] = make_in_process_channel();
        const std::lock_guard guard(mutex_);
        ends_.push_back(std::move(here));
        return std::move(there);
      };
      return take_part(session, connect, work_, stop_, options_);
    });
  }
  // The coordinator's end of the next connection.
  std::unique_ptr<Channel> accept() {
    for (;;) {
      const std::lock_guard guard(mutex_);
      if (!ends_.empty()) {
        auto end = std::move(ends_.front());
        ends_.erase(ends_.begin());
        return end;
      }
      std::this_thread::yield();
    }
  }
  // Past signs of life.
  static Message hear(Channel& end) {
    for (;;) {
      const auto frame = end.receive(60s);
      if (!frame) return Leave{"[test] silence"};
      if (!std::holds_alternative<Heartbeat>(frame->message)) return frame->message;
    }
  }
  static Heartbeat hear_heartbeat(Channel& end) {
    for (;;) {
      const auto frame = end.receive(60s);
      if (const auto* heartbeat = std::get_if<Heartbeat>(&frame->message)) return *heartbeat;
    }
  }
  std::unique_ptr<Channel> joined() {
    auto end = accept();
    EXPECT_TRUE(std::holds_alternative<Hello>(hear(*end)));
    end->send({Welcome{1, "", {}, 60, 0}, {}});
    EXPECT_TRUE(std::holds_alternative<Join>(hear(*end)));
    return end;
  }

  TemporaryFolder folder_;
  ParticipantOptions options_;
  SiteWork work_;
  std::atomic<bool> stop_ = false, block_ = false, fails_ = false;
  std::atomic<int> begun_ = 0, stopped_ = 0;
  std::vector<std::string> troubles_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Channel>> ends_;
  std::future<Ending> site_;
};

TEST_F(ParticipantTest, SaysHowFarItIsWhileItWorks) {
  options_.heartbeat = 2ms;
  options_.missed_heartbeats = 1'000'000;
  block_ = true;
  start();
  const auto end = joined();
  end->send({plan_of(4), {}});
  std::uint64_t done = 0;
  for (int growing = 0; growing < 3;) {
    const Heartbeat heartbeat = hear_heartbeat(*end);
    if (heartbeat.total == 0) continue;  // before its work began
    EXPECT_EQ(heartbeat.phase, "training");
    EXPECT_EQ(heartbeat.round, 4U);
    EXPECT_EQ(heartbeat.total, 1'000'000U);
    if (heartbeat.done > done) ++growing;
    done = heartbeat.done;
  }
  block_ = false;
  EXPECT_TRUE(std::holds_alternative<BlobOffer>(hear(*end)));
}

TEST_F(ParticipantTest, SaysAtOnceThatItBegan) {
  block_ = true;
  start();
  const auto end = joined();  // which asks for a sign of life a minute
  end->send({plan_of(4), {}});
  EXPECT_EQ(hear_heartbeat(*end).phase, "training");
}

// Its Hello cannot be sent any more, and it hears why.
TEST_F(ParticipantTest, ARefusalBeforeItsFirstWordIsHeard) {
  ClientStore store(folder_.path() / "state");
  ClientSession session({"site", "tiny", 100}, store);
  int dialled = 0;
  const auto connect = [&] {
    stop_ = ++dialled > 1;
    auto [here, there] = make_in_process_channel();
    here->send({Acknowledgement{0, "", false, "excluded: by ops"}, {}});
    here->close();
    return std::move(there);
  };
  EXPECT_EQ(take_part(session, connect, work_, stop_, options_), Ending::kRefused);
  EXPECT_EQ(session.refusal(), "excluded: by ops");
  EXPECT_EQ(dialled, 1);
}

TEST_F(ParticipantTest, WorksOnWhileTheConnectionIsGone) {
  block_ = true;
  start();
  auto end = joined();
  end->send({plan_of(1), {}});
  while (begun_ == 0) std::this_thread::yield();
  end.reset();
  end = joined();
  end->send({plan_of(1), {}});
  end.reset();
  block_ = false;
  end = joined();
  end->send({plan_of(1), {}});
  EXPECT_TRUE(std::holds_alternative<BlobOffer>(hear(*end)));
  EXPECT_EQ(begun_, 1);
}

TEST_F(ParticipantTest, ANewPlanStopsTheWorkOnTheOld) {
  block_ = true;
  start();
  const auto end = joined();
  end->send({plan_of(1), {}});
  while (begun_ == 0) std::this_thread::yield();
  end->send({plan_of(2), {}});
  while (begun_ == 1) std::this_thread::yield();
  EXPECT_EQ(stopped_, 1);
  block_ = false;
  const Message offer = hear(*end);
  const std::string text = "update 2";
  EXPECT_EQ(std::get<BlobOffer>(offer).sha256, sha256_hex(std::as_bytes(std::span(text))));
}

TEST_F(ParticipantTest, AskedToStopItSaysSoAndStopsItsWork) {
  block_ = true;
  start();
  const auto end = joined();
  end->send({plan_of(1), {}});
  while (begun_ == 0) std::this_thread::yield();
  stop_ = true;
  EXPECT_EQ(hear(*end), Message(Leave{"stopped"}));
  EXPECT_EQ(site_.get(), Ending::kStopped);
  EXPECT_EQ(stopped_, 1);
}

TEST_F(ParticipantTest, WorkThatFailsEndsIt) {
  fails_ = true;
  start();
  const auto end = joined();
  end->send({plan_of(1), {}});
  EXPECT_EQ(hear(*end), Message(Leave{"out of luck"}));
  try {
    site_.get();
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "out of luck");
  }
}

TEST_F(ParticipantTest, ASilentCoordinatorIsLeftForANewConnection) {
  options_.heartbeat = 1ms;
  start();
  const auto dead = joined();
  const auto alive = joined();
  alive->send({Acknowledgement{1, "", false, "go away"}, {}});
  EXPECT_EQ(site_.get(), Ending::kRefused);
  EXPECT_GE(troubles_.size(), 1U);
}

TEST_F(ParticipantTest, NonsenseEndsTheConnectionAndItTriesAgain) {
  start();
  const auto end = accept();
  end->send({plan_of(1), {}});  // before any welcome
  const auto again = joined();
  again->send({Bundle{1, std::string(64, 'c'), 5, true}, {}});
  EXPECT_TRUE(std::holds_alternative<BlobRequest>(hear(*again)));
  again->send({BlobChunk{std::string(64, 'c'), 0}, std::vector<std::byte>(5)});  // another hash
  const auto third = joined();
  third->send({Acknowledgement{1, "", false, "go away"}, {}});
  EXPECT_EQ(site_.get(), Ending::kRefused);
  EXPECT_EQ(troubles_.size(), 2U);
}

TEST_F(ParticipantTest, WhoIsRefusedSaysGoodbye) {
  start();
  const auto end = joined();
  end->send({Acknowledgement{1, "", false, "go away"}, {}});
  EXPECT_EQ(hear(*end), Message(Leave{"refused"}));
  EXPECT_EQ(site_.get(), Ending::kRefused);
}

// As a connection of TLS 1.3 behaves: that the other side refused who we are shows when its alert
// is read, which may be after sending has failed.
class RefusingChannel : public Channel {
 public:
  using Channel::send;
  void send(const Frame& /*frame*/) override { throw ChannelClosed("broken pipe"); }
  std::optional<Frame> receive(milliseconds /*wait*/) override {
    throw PeerRefused("the peer refused: bad certificate", "bad certificate");
  }
  void close() override {}
};

// Who it is, not what it says: nobody gets better by dialling.
class RefusedParticipantTest : public ParticipantTest {
 protected:
  // Dials with what the tries meet, one after the other: nothing for a refusal.
  Ending take_part_with(const std::vector<std::optional<Message>>& met) {
    ClientStore store(folder_.path() / "state");
    ClientSession session({"site", "tiny", 100}, store);
    const auto connect = [&]() -> std::unique_ptr<Channel> {
      const std::optional<Message>& first = met.at(tries_++);
      if (!first) return std::make_unique<RefusingChannel>();
      auto [here, there] = make_in_process_channel();
      here->send({*first, {}});
      here->close();
      return std::move(there);
    };
    return take_part(session, connect, work_, stop_, options_);
  }
  const std::optional<Message> refusal_;
  const Message sign_of_life_ = Heartbeat{1, "", 0, 0};
  const Message end_ = Acknowledgement{1, "", false, "go away"};
  std::size_t tries_ = 0;
};

TEST_F(RefusedParticipantTest, WhoWasNeverLetInEndsAtOnce) {
  EXPECT_THROW(take_part_with({refusal_, end_}), PeerRefused);
  EXPECT_EQ(tries_, 1U);
}

TEST_F(RefusedParticipantTest, WhoWasLetInBeforeIsPatient) {
  EXPECT_EQ(take_part_with({sign_of_life_, refusal_, refusal_, refusal_, end_}), Ending::kRefused);
  EXPECT_EQ(tries_, 5U);
}

TEST_F(RefusedParticipantTest, WhomThisSideDoesNotAcceptCountsAlike) {
  int tries = 0;
  const auto connect = [&]() -> std::unique_ptr<Channel> {
    ++tries;
    throw NotAccepted("its certificate has expired");
  };
  const auto take_part_with_store = [&] {
    ClientStore store(folder_.path() / "state");
    ClientSession session({"site", "tiny", 100}, store);
    options_.refused_for = 20ms;
    take_part(session, connect, work_, stop_, options_);
  };
  EXPECT_THROW(take_part_with_store(), NotAccepted);
  EXPECT_EQ(tries, 1);
  ClientStore(folder_.path() / "state").blobs().add(std::vector<std::byte>(10));  // it was there
  EXPECT_THROW(take_part_with_store(), NotAccepted);
  EXPECT_GT(tries, 2);
}

TEST_F(RefusedParticipantTest, ButNotForEver) {
  options_.refused_for = 0ms;
  EXPECT_THROW(take_part_with({sign_of_life_, refusal_, end_}), PeerRefused);
  EXPECT_EQ(tries_, 2U);
}

TEST_F(RefusedParticipantTest, AStateThatHoldsSomethingTellsThatItWasLetIn) {
  ClientStore(folder_.path() / "state").blobs().add(std::vector<std::byte>(10));
  EXPECT_EQ(take_part_with({refusal_, end_}), Ending::kRefused);
  EXPECT_EQ(tries_, 2U);
}

TEST_F(ParticipantTest, ADiskThatTakesNothingForAWhileCostsOnlyTime) {
  ClientStore store(folder_.path() / "state");
  ClientSession session({"site", "tiny", 100}, store);
  const std::vector<std::byte> bytes(1000, std::byte{5});
  const Delivery last{1, {sha256_hex(bytes), bytes.size()}};
  std::optional<FileSizeLimit> full(0);
  int tries = 0;
  const auto connect = [&] {
    if (++tries == 3) full.reset();
    auto [here, there] = make_in_process_channel();
    here->send({Welcome{1, "", {}, 60, 0}, {}});
    here->send({Bundle{1, last.bundle.sha256, last.bundle.bytes, true}, {}});
    here->send({BlobChunk{last.bundle.sha256, 0}, bytes});
    ends_.push_back(std::move(here));
    return std::move(there);
  };
  EXPECT_EQ(take_part(session, connect, work_, stop_, options_), Ending::kDone);
  EXPECT_EQ(tries, 3);
  ASSERT_EQ(troubles_.size(), 2U);
  EXPECT_NE(troubles_.front().find("File too large; trying again"), std::string::npos)
      << troubles_.front();
  EXPECT_EQ(store.bundles().back(), last);
}

TEST_F(ParticipantTest, ABundleThatWasRecordedAndNotHandedOutIsHandedOutLater) {
  const std::vector<std::byte> bytes(1000, std::byte{5});
  const Delivery last{1, {sha256_hex(bytes), bytes.size()}};
  const auto connect = [&] {
    auto [here, there] = make_in_process_channel();
    here->send({Welcome{1, "", {}, 60, 0}, {}});
    here->send({Bundle{1, last.bundle.sha256, last.bundle.bytes, false}, {}});
    here->send({BlobChunk{last.bundle.sha256, 0}, bytes});
    here->send({Heartbeat{1, "", 0, 0}, {}});
    ends_.push_back(std::move(here));
    return std::move(there);
  };
  int handed_out = 0;
  work_.on_bundle = [&](const Delivery& bundle, const std::filesystem::path&) {
    EXPECT_EQ(bundle, last);
    if (++handed_out == 1) throw std::system_error(ENOSPC, std::generic_category());
    stop_ = true;
  };
  const auto take_part_once = [&] {
    stop_ = false;
    ClientStore store(folder_.path() / "state");
    ClientSession session({"site", "tiny", 100}, store);
    EXPECT_EQ(take_part(session, connect, work_, stop_, options_), Ending::kStopped);
  };
  take_part_once();
  EXPECT_EQ(handed_out, 2);
  take_part_once();  // as after a kill
  EXPECT_EQ(handed_out, 3);
}

TEST_F(ParticipantTest, WhatCannotBeMendedEndsIt) {
  ClientStore store(folder_.path() / "state");
  ClientSession session({"site", "tiny", 100}, store);
  int tries = 0;
  const auto connect = [&]() -> std::unique_ptr<Channel> {
    if (++tries < 5) throw ChannelClosed("nobody there");
    throw std::invalid_argument("the certificate is not for this");
  };
  EXPECT_THROW(take_part(session, connect, work_, stop_, options_), std::invalid_argument);
  EXPECT_EQ(tries, 5);
  EXPECT_EQ(troubles_.size(), 4U);
}

}  // namespace
}  // namespace fedstill
