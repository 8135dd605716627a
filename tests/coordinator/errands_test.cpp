// What happens while an update is written or checked elsewhere.
#include <gtest/gtest.h>

#include <deque>
#include <stdexcept>

#include "model/sha256.h"
#include "tests/coordinator/reception_fixture.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/tiny_update.h"

namespace fedstill {
namespace {

using std::chrono_literals::operator""s;

// A reception whose errands are done when the test says so.
class ErrandsTest : public ReceptionFixture {
 protected:
  struct Waiting {
    std::function<void()> work;
    std::function<void(Instant)> then;
  };

  void SetUp() override {
    options_.round.expected_clients = 3;
    options_.round.min_clients = 1;
    options_.round.deadline = options_.round.stalled_after = 100s;
    options_.plan.rounds = 2;
    start();
  }
  void start() {
    queue_.clear();
    ReceptionOptions reception;
    reception.on_status = [](const std::string&, const StatusRequest&) { return "{}"; };
    reception.elsewhere = [this](std::function<void()> work, std::function<void(Instant)> then) {
      queue_.push_back({std::move(work), std::move(then)});
    };
    ReceptionFixture::start(std::move(reception));
  }
  std::unique_ptr<Peer> open(const std::string& name, const std::string& role = "client") {
    auto peer = ReceptionFixture::open(name, role);
    say(*peer, Hello{});
    if (role == "client") say(*peer, Join{name, "tiny", 100});
    peer->outbox.clear();
    return peer;
  }
  void do_next() {
    ASSERT_FALSE(queue_.empty());
    const Waiting next = std::move(queue_.front());
    queue_.pop_front();
    next.work();
    next.then(now_);
  }
  void do_all() {
    while (!queue_.empty()) do_next();
  }
  // The last thing it heard.
  template <typename Kind>
  Kind heard(const Peer& peer) {
    if (peer.outbox.empty() || !std::holds_alternative<Kind>(peer.outbox.back().message)) {
      ADD_FAILURE() << peer.name << " did not hear that";
      return {};
    }
    return std::get<Kind>(peer.outbox.back().message);
  }
  void transfer(Peer& peer, const std::vector<std::byte>& body) {
    say(peer, BlobOffer{sha256_hex(body), body.size(), "update"});
    do_all();
    const std::uint64_t offset = heard<BlobRequest>(peer).offset;
    if (offset == body.size()) return;
    say(peer, BlobChunk{sha256_hex(body), offset},
        {body.begin() + static_cast<std::ptrdiff_t>(offset), body.end()});
    do_all();
    EXPECT_EQ(heard<BlobProgress>(peer).offset, body.size());
  }
  // The check waits to be done.
  void claim(Peer& peer, const std::vector<std::byte>& body) {
    say(peer, Upload{1, peer.name, sha256_hex(body), 100});
  }
  void upload(Peer& peer, const std::vector<std::byte>& body) {
    transfer(peer, body);
    claim(peer, body);
    do_all();
    EXPECT_TRUE(heard<Acknowledgement>(peer).accepted);
  }
  static std::vector<std::byte> update(std::uint64_t seed) {
    return encode_model(tiny_update(seed));
  }
  std::size_t recorded() { return store_->uploads(1).size(); }
  Round::State state() const { return coordinator_->round().state(); }

  std::deque<Waiting> queue_;
};

TEST_F(ErrandsTest, OthersAreAnsweredWhileAnUpdateIsWrittenAndChecked) {
  const auto site = open("a"), other = open("b"), admin = open("boss", "admin");
  const auto body = update(1);
  const std::string sha256 = sha256_hex(body);
  const auto expect_others_are_answered = [&] {
    EXPECT_TRUE(site->held);
    EXPECT_EQ(queue_.size(), 1U);
    const std::size_t before = admin->outbox.size();
    say(*admin, StatusRequest{"status", ""});
    EXPECT_EQ(admin->outbox.size(), before + 1);
    say(*other, Heartbeat{1, "training", before, 100});
    EXPECT_EQ(coordinator_->round().members().at("b").done, before);
    do_next();
    EXPECT_FALSE(site->held);
  };
  say(*site, BlobOffer{sha256, body.size(), "update"});
  expect_others_are_answered();
  say(*site, BlobChunk{sha256, 0}, body);
  expect_others_are_answered();
  claim(*site, body);
  expect_others_are_answered();
  EXPECT_EQ(heard<Acknowledgement>(*site), (Acknowledgement{1, sha256, true, ""}));
}

TEST_F(ErrandsTest, NothingIsSaidBeforeItIsDone) {
  const auto site = open("a");
  const auto body = update(1);
  const std::string sha256 = sha256_hex(body);
  say(*site, BlobOffer{sha256, body.size(), "update"});
  EXPECT_TRUE(site->outbox.empty());
  do_next();
  EXPECT_EQ(heard<BlobRequest>(*site).offset, 0U);
  say(*site, BlobChunk{sha256, 0}, body);
  EXPECT_EQ(site->outbox.size(), 1U);
  EXPECT_FALSE(store_->blobs().has(sha256));
  do_next();
  EXPECT_TRUE(store_->blobs().has(sha256));
  EXPECT_EQ(heard<BlobProgress>(*site).offset, body.size());
  claim(*site, body);
  EXPECT_EQ(site->outbox.size(), 2U);
  EXPECT_EQ(recorded(), 0U);
  do_next();
  EXPECT_EQ(recorded(), 1U);
  EXPECT_TRUE(heard<Acknowledgement>(*site).accepted);
}

TEST_F(ErrandsTest, NoMoreThanOneWaitsForEachConnection) {
  const auto site = open("a");
  const auto body = update(1);
  say(*site, BlobOffer{sha256_hex(body), body.size(), "update"});
  EXPECT_THROW(claim(*site, body), std::logic_error);
  EXPECT_EQ(queue_.size(), 1U);
  do_all();
  claim(*site, body);
  EXPECT_FALSE(heard<Acknowledgement>(*site).accepted);  // and looked at now
}

TEST_F(ErrandsTest, AClaimInTimeCountsHoweverLongItsCheckTakes) {
  const auto early = open("a"), slow = open("b"), late = open("c");
  for (const auto* peer : {slow.get(), late.get()}) {
    transfer(*const_cast<Peer*>(peer), update(peer->name[0]));
  }
  now_ = 99s;
  upload(*early, update(1));
  claim(*slow, update('b'));
  now_ = 130s;
  reception_->tick(now_);
  EXPECT_EQ(state(), Round::State::kCollecting);
  claim(*late, update('c'));
  do_next();
  EXPECT_TRUE(heard<Acknowledgement>(*slow).accepted);
  reception_->tick(now_);
  EXPECT_EQ(state(), Round::State::kClosed);  // it did not wait for the late one
  do_next();
  EXPECT_EQ(heard<Acknowledgement>(*late).refusal, Refusal::kTooLate);
  EXPECT_EQ(recorded(), 2U);
}

TEST_F(ErrandsTest, ARoundDoesNotFailOfAnUpdateThatIsBeingChecked) {
  const auto site = open("a");
  now_ = 99s;
  transfer(*site, update(1));
  now_ = 150s;  // past the deadline, with nobody's update
  claim(*site, update(1));
  now_ = 500s;
  reception_->tick(now_);
  EXPECT_EQ(state(), Round::State::kCollecting);
  EXPECT_NE(coordinator_->round().member("a", now_), Round::Member::kGone);
  do_next();
  EXPECT_TRUE(heard<Acknowledgement>(*site).accepted);
  EXPECT_EQ(state(), Round::State::kClosed);
}

TEST_F(ErrandsTest, WhoIsWaitedForIsNotCalledSilent) {
  const auto site = open("a");
  transfer(*site, update(1));
  claim(*site, update(1));
  now_ = 60s;  // longer than silent_after
  reception_->tick(now_);
  EXPECT_EQ(coordinator_->round().member("a", now_), Round::Member::kUploading);
}

TEST_F(ErrandsTest, AClientExcludedWhileItsUpdateIsChecked) {
  const auto site = open("a");
  transfer(*site, update(1));
  claim(*site, update(1));
  reception_->exclude("a", "lies", now_);
  const std::size_t told = site->outbox.size();
  do_next();
  EXPECT_EQ(recorded(), 0U);
  EXPECT_EQ(site->outbox.size(), told);
  EXPECT_EQ(coordinator_->round().member("a", now_), Round::Member::kExcluded);
}

TEST_F(ErrandsTest, AClientThatWasCutOffFindsItsUpdateAccepted) {
  auto site = open("a");
  transfer(*site, update(1));
  claim(*site, update(1));
  reception_->closed(site->id, now_);
  do_next();
  EXPECT_EQ(recorded(), 1U);
  site = open("a");
  transfer(*site, update(1));  // it is not asked for
  claim(*site, update(1));
  EXPECT_TRUE(heard<Acknowledgement>(*site).accepted);
  EXPECT_EQ(recorded(), 1U);
}

TEST_F(ErrandsTest, ANewerConnectionGoesOnWhereTheOlderOnesErrandEnds) {
  const auto older = open("a");
  const auto body = update(1);
  const std::string sha256 = sha256_hex(body);
  say(*older, BlobOffer{sha256, body.size(), "update"});
  do_next();
  say(*older, BlobChunk{sha256, 0}, {body.begin(), body.begin() + 100});
  const auto newer = open("a");
  say(*newer, BlobOffer{sha256, body.size(), "update"});
  EXPECT_EQ(queue_.size(), 2U);
  do_all();
  EXPECT_NE(older->ended, "");
  EXPECT_EQ(heard<BlobRequest>(*newer).offset, 100U);
  upload(*newer, body);
}

TEST_F(ErrandsTest, ANewerConnectionWhileTheOlderOnesClaimIsChecked) {
  const auto older = open("a");
  transfer(*older, update(1));
  claim(*older, update(1));
  const auto newer = open("a");
  say(*newer, BlobOffer{sha256_hex(update(1)), update(1).size(), "update"});
  do_all();
  EXPECT_EQ(heard<BlobRequest>(*newer).offset, update(1).size());
  claim(*newer, update(1));
  EXPECT_TRUE(heard<Acknowledgement>(*newer).accepted);
  EXPECT_EQ(recorded(), 1U);
}

TEST_F(ErrandsTest, AnotherUpdateThanTheOneBeingCheckedIsRefused) {
  const auto older = open("a");
  transfer(*older, update(1));
  claim(*older, update(1));
  const auto newer = open("a");
  say(*newer, BlobOffer{sha256_hex(update(2)), update(2).size(), "update"});
  do_all();
  EXPECT_FALSE(heard<Acknowledgement>(*newer).accepted);  // the first stands
  EXPECT_EQ(coordinator_->round().uploads().at("a"), sha256_hex(update(1)));
}

// What is refused is removed, but not from under somebody who sent the same.
TEST_F(ErrandsTest, TheSameFileOfTwoClientsIsRemovedWithTheLast) {
  const auto rubbish = numbered_bytes(1);
  const auto first = open("a"), second = open("b");
  transfer(*first, rubbish);
  transfer(*second, rubbish);
  claim(*first, rubbish);
  claim(*second, rubbish);
  reception_->closed(second->id, now_);
  do_next();
  EXPECT_FALSE(heard<Acknowledgement>(*first).accepted);
  EXPECT_TRUE(store_->blobs().has(sha256_hex(rubbish)));
  do_next();
  EXPECT_TRUE(store_->blobs().list().empty());
}

TEST_F(ErrandsTest, AKillWhileAnUpdateIsCheckedCostsTheCheckOnly) {
  auto site = open("a");
  transfer(*site, update(1));
  claim(*site, update(1));
  start();
  EXPECT_EQ(recorded(), 0U);
  site = open("a");
  say(*site, BlobOffer{sha256_hex(update(1)), update(1).size(), "update"});
  do_all();
  EXPECT_EQ(heard<BlobRequest>(*site).offset, update(1).size());  // no byte again
  claim(*site, update(1));
  do_all();
  EXPECT_TRUE(heard<Acknowledgement>(*site).accepted);
}

TEST_F(ErrandsTest, TheNextRoundBeginsWhileALateTransferIsWritten) {
  const auto site = open("a"), late = open("b");
  const auto body = update(2);
  say(*late, BlobOffer{sha256_hex(body), body.size(), "update"});
  do_all();
  upload(*site, update(1));
  now_ = 200s;
  reception_->tick(now_);
  ASSERT_EQ(state(), Round::State::kClosed);
  say(*late, BlobChunk{sha256_hex(body), 0}, {body.begin(), body.begin() + 10});
  const BlobInfo bundle = store_->blobs().add(numbered_bytes(1));
  const BlobInfo student = store_->blobs().add(numbered_bytes(2));
  reception_->publish(bundle, student, now_);
  late->outbox.clear();
  do_all();
  EXPECT_TRUE(late->outbox.empty());
  EXPECT_FALSE(late->held);
  EXPECT_EQ(files_in(folder_.path() / "blobs"), 2U);  // the bundle and the student
  say(*late, BlobOffer{sha256_hex(body), body.size(), "update"});
  do_all();
  EXPECT_EQ(heard<BlobRequest>(*late).offset, 0U);
}

TEST_F(ErrandsTest, ADiskThatIsFullElsewhereIsSaidHere) {
  const auto site = open("a");
  const auto body = update(1);
  const std::string sha256 = sha256_hex(body);
  say(*site, BlobOffer{sha256, body.size(), "update"});
  do_next();
  say(*site, BlobChunk{sha256, 0}, body);
  {
    const FileSizeLimit limit(40);
    do_next();
  }
  EXPECT_EQ(heard<Acknowledgement>(*site).refusal, Refusal::kTryLater);
  EXPECT_EQ(heard<Acknowledgement>(*site).sha256, sha256);
  EXPECT_NE(reception_->trouble(), "");
  EXPECT_EQ(site->ended, "");
  EXPECT_FALSE(site->held);
  upload(*site, body);
  reception_->tick(now_ += 30s);
  EXPECT_EQ(reception_->trouble(), "");
}

TEST_F(ErrandsTest, WhatBreaksTheProtocolElsewhereEndsThatConnection) {
  const auto site = open("a");
  say(*site, BlobOffer{std::string(64, 'c'), 1000, "update"});
  do_next();
  say(*site, BlobChunk{std::string(64, 'c'), 7}, numbered_bytes(1, 10));
  EXPECT_EQ(site->ended, "");
  do_next();
  EXPECT_NE(site->ended, "");
}

}  // namespace
}  // namespace fedstill
