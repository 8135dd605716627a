#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

#include "coordinator/database.h"
#include "model/sha256.h"
#include "tests/coordinator/reception_fixture.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/tiny_update.h"

namespace fedstill {
namespace {

using std::chrono_literals::operator""s;

class ReceptionTest : public ReceptionFixture {
 protected:
  void SetUp() override {
    options_.round.expected_clients = options_.round.min_clients = 1;
    options_.plan.pool_hash = sha256_hex(pool_);
    options_.plan.pool_bytes = pool_.size();
    start({});
  }
  void start(ReceptionOptions reception) {
    ReceptionFixture::start(std::move(reception));
    store_->blobs().add(pool_);
  }
  // What the peer is sent on that.
  std::vector<Message> hear(Peer& peer, const Message& message, std::vector<std::byte> body = {}) {
    peer.outbox.clear();
    say(peer, message, std::move(body));
    return said(peer);
  }
  static std::vector<Message> said(const Peer& peer) {
    std::vector<Message> messages;
    for (const Frame& frame : peer.outbox) messages.push_back(frame.message);
    return messages;
  }
  std::unique_ptr<Peer> greeted(const std::string& name, const std::string& role = "client") {
    auto peer = open(name, role);
    hear(*peer, Hello{});
    return peer;
  }
  std::unique_ptr<Peer> joined(const std::string& name) {
    auto peer = greeted(name);
    EXPECT_EQ(hear(*peer, Join{name, "tiny", 100}), std::vector<Message>{options_.plan});
    return peer;
  }
  void upload(Peer& peer, const std::string& name) {
    const auto body = encode_model(tiny_update(1));
    const std::string sha256 = sha256_hex(body);
    hear(peer, BlobOffer{sha256, body.size(), "update"});
    hear(peer, BlobChunk{sha256, 0}, body);
    EXPECT_EQ(hear(peer, Upload{1, name, sha256, 100}),
              (std::vector<Message>{Acknowledgement{1, sha256, true, ""}}));
  }

  const std::vector<std::byte> pool_ = numbered_bytes(5, 3'000'000);
};

TEST_F(ReceptionTest, GreetsWithTheVersionBothKnow) {
  ReceptionOptions options;
  options.software = "here";
  options.heartbeat = 9s;
  options.unix_time = [] { return 1234; };
  start(options);
  const auto peer = open("a");
  EXPECT_EQ(hear(*peer, Hello{1, 7, "there", {"new"}}),
            (std::vector<Message>{Welcome{1, "here", {}, 9, 1234}}));
  EXPECT_EQ(peer->ended, "");
}

TEST_F(ReceptionTest, ANewerPeerLearnsWhichVersionsThereAre) {
  const auto peer = open("a");
  const auto answers = hear(*peer, Hello{2, 7, "", {}});
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(std::get<Acknowledgement>(answers[0]).reason,
            "protocol versions: found 2 to 7, expected 1 to 1");
  EXPECT_NE(peer->ended, "");
  EXPECT_TRUE(hear(*peer, Hello{}).empty());  // too late
}

TEST_F(ReceptionTest, NothingComesBeforeTheGreetingAndOnlyOne) {
  const auto early = open("a");
  EXPECT_TRUE(hear(*early, Join{"a", "tiny", 100}).empty());
  EXPECT_NE(early->ended, "");
  const auto twice = greeted("b");
  const auto answer = hear(*twice, Hello{});
  EXPECT_FALSE(std::get<Acknowledgement>(answer.at(0)).accepted);
}

TEST_F(ReceptionTest, WhatBreaksTheProtocolEndsThatConnectionAlone) {
  const auto good = joined("a"), bad = joined("b");
  const std::string sha256(64, 'c');
  hear(*bad, BlobOffer{sha256, 1000, "update"});
  EXPECT_TRUE(hear(*bad, BlobChunk{sha256, 7}, numbered_bytes(1, 10)).empty());
  EXPECT_NE(bad->ended, "");
  reception_->closed(bad->id, now_);
  EXPECT_EQ(coordinator_->round().member("b", now_), Round::Member::kGone);
  upload(*good, "a");
}

TEST_F(ReceptionTest, OfTwoUnderOneNameTheNewerStays) {
  const auto older = joined("a");
  const auto newer = joined("a");
  EXPECT_EQ(older->ended, "the same identity connected again");
  reception_->closed(older->id, now_);
  EXPECT_EQ(coordinator_->round().member("a", now_), Round::Member::kJoined);
  EXPECT_EQ(reception_->connections(), 1U);
  upload(*newer, "a");
  reception_->closed(newer->id, now_);
  EXPECT_FALSE(coordinator_->round().members().at("a").here);
}

TEST_F(ReceptionTest, ABlobIsSentOneChunkAtATime) {
  const auto peer = joined("a");
  const std::string sha256 = sha256_hex(pool_);
  std::vector<std::byte> received;
  hear(*peer, BlobRequest{sha256, 100});
  for (std::size_t chunks = 0; received.size() < pool_.size() - 100; ++chunks) {
    ASSERT_EQ(peer->outbox.size(), 1U);
    EXPECT_EQ(peer->outbox[0].message, Message(BlobChunk{sha256, 100 + received.size()}));
    const auto body = peer->outbox[0].body;
    received.insert(received.end(), body.begin(), body.end());
    // Other messages pass between the chunks, and do not bring a second one.
    hear(*peer, BlobProgress{sha256, 100 + received.size()});
    EXPECT_TRUE(peer->outbox.empty());
    reception_->drained(peer->id, now_);
  }
  EXPECT_TRUE(std::ranges::equal(received, std::span(pool_).subspan(100)));
  EXPECT_TRUE(peer->outbox.empty());
  reception_->drained(peer->id, now_);
  EXPECT_TRUE(peer->outbox.empty());
}

TEST_F(ReceptionTest, ManyTransfersShareTheMemory) {
  ReceptionOptions options;
  options.bytes_in_flight = 60'000;
  start(options);
  std::vector<std::unique_ptr<Peer>> peers;
  for (char c = 'a'; c < 'd'; ++c) {
    peers.push_back(joined(std::string(1, c)));
    hear(*peers.back(), BlobRequest{sha256_hex(pool_), 0});
    EXPECT_EQ(peers.back()->outbox.at(0).body.size(), 60'000U / peers.size());
  }
  for (std::size_t i = 1; i < peers.size(); ++i) reception_->closed(peers[i]->id, now_);
  peers[0]->outbox.clear();
  reception_->drained(peers[0]->id, now_);
  EXPECT_EQ(peers[0]->outbox.at(0).body.size(), 60'000U);
}

TEST_F(ReceptionTest, AThinLineGetsSmallChunksAndADownloadIsProgress) {
  options_.round.stalled_after = 20s;
  start({});
  const auto peer = joined("a");
  const std::string sha256 = sha256_hex(pool_);
  hear(*peer, BlobRequest{sha256, 0});
  std::uint64_t received = 0;
  for (int chunk = 0; chunk < 4; ++chunk) {
    received += peer->outbox.at(0).body.size();
    now_ += 15s;  // more than a chunk should take
    hear(*peer, BlobProgress{sha256, received});
    reception_->drained(peer->id, now_);
    reception_->tick(now_ + 10s);
    EXPECT_EQ(coordinator_->round().member("a", now_ + 10s), Round::Member::kFetching);
  }
  EXPECT_EQ(peer->outbox.at(0).body.size(), kLeastChunkBytes);
  const Round::Facts& facts = coordinator_->round().members().at("a");
  EXPECT_EQ(facts.done, received);
  EXPECT_EQ(facts.total, pool_.size());
  EXPECT_EQ(coordinator_->round().member("a", now_ + 20s), Round::Member::kStalled);
}

TEST_F(ReceptionTest, ResultsAreToldToWhoJoined) {
  const auto member = joined("a"), greeted_only = greeted("b");
  const auto refused = greeted("c");
  hear(*refused, Join{"c", "tiny", 0});
  upload(*member, "a");
  for (const auto* peer : {member.get(), greeted_only.get(), refused.get()}) {
    const_cast<Peer*>(peer)->outbox.clear();
  }
  const BlobInfo bundle = store_->blobs().add(numbered_bytes(1));
  reception_->publish(bundle, {}, now_);
  EXPECT_EQ(said(*member), (std::vector<Message>{Bundle{1, bundle.sha256, bundle.bytes, true}}));
  EXPECT_TRUE(greeted_only->outbox.empty());
  EXPECT_TRUE(refused->outbox.empty());
}

TEST_F(ReceptionTest, WhoWasToldNothingGetsASignOfLife) {
  const auto quiet = greeted("a");
  const auto stranger = open("b");
  now_ = 10s;
  const auto busy = greeted("c");
  for (const auto* peer : {quiet.get(), busy.get()}) const_cast<Peer*>(peer)->outbox.clear();
  now_ = 15s;
  reception_->tick(now_);
  EXPECT_EQ(said(*quiet), (std::vector<Message>{Heartbeat{1, "", 0, 0}}));
  EXPECT_TRUE(busy->outbox.empty());
  EXPECT_TRUE(stranger->outbox.empty());
}

TEST_F(ReceptionTest, AnExcludedClientIsToldAndSentAway) {
  const auto peer = joined("a");
  peer->outbox.clear();
  reception_->exclude("a", "sends nonsense", now_);
  EXPECT_FALSE(std::get<Acknowledgement>(said(*peer).at(0)).accepted);
  EXPECT_NE(peer->ended, "");
  EXPECT_THROW(reception_->exclude("nobody", "", now_), std::invalid_argument);
}

TEST_F(ReceptionTest, RolesAreKeptApart) {
  ReceptionOptions options;
  options.on_status = [](const std::string& admin, const StatusRequest& request) -> std::string {
    EXPECT_EQ(admin, "boss");
    if (request.what == "rounds") return "[" + request.argument + "]";
    throw std::invalid_argument("[status] unknown");
  };
  start(options);
  const auto admin = greeted("boss", "admin"), client = joined("a");
  EXPECT_EQ(hear(*admin, StatusRequest{"rounds", "5"}), std::vector<Message>{StatusReply{}});
  EXPECT_EQ(admin->outbox[0].body.size(), 3U);
  EXPECT_FALSE(std::get<Acknowledgement>(hear(*admin, StatusRequest{"other", ""}).at(0)).accepted);
  EXPECT_FALSE(
      std::get<Acknowledgement>(hear(*client, StatusRequest{"rounds", ""}).at(0)).accepted);
  EXPECT_EQ(client->ended, "");
  EXPECT_TRUE(hear(*admin, Join{"boss", "tiny", 100}).empty());
  EXPECT_NE(admin->ended, "");
  const auto same_name = greeted("a", "admin");  // another role, another person
  EXPECT_EQ(client->ended, "");
}

TEST_F(ReceptionTest, WhoIsRefusedByItsOwnFaultIsBlamedForIt) {
  const auto peer = joined("a");
  int blamed = 0;
  reception_->closed(peer->id, now_);
  Line line{[](const Frame&) {}, [](const std::string&) {}, {}, [&] { ++blamed; }};
  const Reception::Id id = reception_->open("a", "client", std::move(line), now_);
  const auto say = [&](const Message& message, std::vector<std::byte> body = {}) {
    reception_->receive(id, {message, std::move(body)}, now_);
    return blamed;
  };
  EXPECT_EQ(say(Hello{}), 0);
  EXPECT_EQ(say(Join{"a", "tiny", 100}), 0);
  EXPECT_EQ(say(Join{"a", "tiny", 101}), 1);
  EXPECT_EQ(say(StatusRequest{"status", ""}), 2);
  EXPECT_EQ(say(BlobRequest{std::string(64, 'e'), 0}), 3);
  const auto body = encode_model(tiny_update(1));
  EXPECT_EQ(say(BlobOffer{sha256_hex(body), body.size(), "update"}), 3);
  {
    const FileSizeLimit limit(40);  // our fault
    EXPECT_EQ(say(BlobChunk{sha256_hex(body), 0}, body), 3);
  }
  EXPECT_EQ(say(BlobOffer{sha256_hex(body), body.size(), "update"}), 3);
  EXPECT_EQ(say(BlobChunk{sha256_hex(body), 1000}, body), 4);  // a gap
}

TEST_F(ReceptionTest, WithAFullDiskItSaysTryLaterAndKeepsWhatItHas) {
  const auto peer = joined("a");
  const auto body = encode_model(tiny_update(1));
  const std::string sha256 = sha256_hex(body);
  const auto expect_try_later = [&](const Message& message, const std::string& about,
                                    std::vector<std::byte> bytes = {}) {
    const FileSizeLimit limit(40);
    const auto answers = hear(*peer, message, std::move(bytes));
    const auto& answer = std::get<Acknowledgement>(answers.at(0));
    EXPECT_EQ(answer.refusal, Refusal::kTryLater);
    EXPECT_EQ(answer.sha256, about);
    EXPECT_NE(reception_->trouble(), "");
    EXPECT_EQ(peer->ended, "");
  };
  hear(*peer, BlobOffer{sha256, body.size(), "update"});
  expect_try_later(BlobChunk{sha256, 0}, sha256, body);
  const auto request = hear(*peer, BlobOffer{sha256, body.size(), "update"});
  const std::uint64_t offset = std::get<BlobRequest>(request.at(0)).offset;
  EXPECT_LE(offset, 40U);
  hear(*peer, BlobChunk{sha256, offset}, {body.begin() + static_cast<int>(offset), body.end()});
  expect_try_later(Upload{1, "a", sha256, 100}, sha256);
  EXPECT_TRUE(coordinator_->round().uploads().empty());
  EXPECT_EQ(hear(*peer, Upload{1, "a", sha256, 100}),
            (std::vector<Message>{Acknowledgement{1, sha256, true, ""}}));
}

TEST_F(ReceptionTest, TroubleLastsUntilNothingFailsAndSomethingIsWritten) {
  const auto beat = [&](bool full) {
    const FileSizeLimit limit(full ? 40 : RLIM_INFINITY);
    now_ += 15s;
    reception_->tick(now_);
    return !reception_->trouble().empty();
  };
  const auto peer = joined("a");
  EXPECT_FALSE(beat(false));
  EXPECT_TRUE(beat(true));  // although nobody said anything
  hear(*peer, Heartbeat{1, "training", 1, 100});
  EXPECT_NE(reception_->trouble(), "");  // which records nothing
  EXPECT_TRUE(beat(false));
  EXPECT_FALSE(beat(false));
}

// So large that it is not in memory: only what is read again is found damaged.
TEST_F(ReceptionTest, ADatabaseDamagedMeanwhileIsToldAndCostsNoConnection) {
  const auto file = folder_.path() / "coordinator.sqlite";
  reception_.reset();
  coordinator_.reset();
  store_.reset();
  {
    Database database(file);
    database.transact([&] {
      for (int i = 0; i < 60'000; ++i) {
        database.run("INSERT INTO joins VALUES (1, ?, ?, 100, 1)", "client-" + std::to_string(i),
                     std::string(64, 'm'));
      }
    });
  }
  start({});
  const auto peer = greeted("somebody");
  const auto size = std::filesystem::file_size(file);
  std::filesystem::resize_file(file, 4096);
  std::filesystem::resize_file(file, size);  // zeros
  const Acknowledgement later{1, "", false, "the coordinator cannot write now", Refusal::kTryLater};
  EXPECT_EQ(hear(*peer, Join{"somebody", "tiny", 100}), std::vector<Message>{later});
  EXPECT_EQ(peer->ended, "");
  EXPECT_NE(reception_->trouble().find("malformed"), std::string::npos) << reception_->trouble();
  for (int beat = 0; beat < 5; ++beat) reception_->tick(now_ += 15s);  // nothing mends it
  EXPECT_NE(reception_->trouble(), "");
  EXPECT_EQ(hear(*peer, BlobRequest{options_.plan.pool_hash, 0}).size(), 1U);
  EXPECT_EQ(peer->ended, "");
}

TEST_F(ReceptionTest, AClientMayAskWhatItsDataMustBeLike) {
  const auto old = greeted("a");
  EXPECT_EQ(std::get<Acknowledgement>(hear(*old, StatusRequest{"task", ""}).at(0)).reason,
            "[status] for administrators only");
  ReceptionOptions options;
  options.task = "{}";
  start(options);
  const auto peer = open("a");
  EXPECT_EQ(std::get<Welcome>(hear(*peer, Hello{1, 1, "", {"new", "task"}}).at(0)).capabilities,
            std::vector<std::string>{"task"});
  EXPECT_EQ(hear(*peer, StatusRequest{"task", ""}), std::vector<Message>{StatusReply{}});
  EXPECT_EQ(peer->outbox.front().body.size(), 2U);
  EXPECT_TRUE(
      std::holds_alternative<Acknowledgement>(hear(*peer, StatusRequest{"status", ""}).at(0)));
}

TEST_F(ReceptionTest, EveryoneIsToldToGo) {
  const auto client = joined("a"), admin = greeted("boss", "admin"), stranger = open("b");
  for (const auto* peer : {client.get(), admin.get()}) const_cast<Peer*>(peer)->outbox.clear();
  reception_->end_all("maintenance");
  EXPECT_EQ(said(*client), (std::vector<Message>{Leave{"maintenance"}}));
  EXPECT_EQ(said(*admin), (std::vector<Message>{Leave{"maintenance"}}));
  EXPECT_TRUE(stranger->outbox.empty());
  for (const auto* peer : {client.get(), admin.get(), stranger.get()}) {
    EXPECT_EQ(peer->ended, "maintenance");
    reception_->closed(peer->id, now_);
  }
  EXPECT_EQ(reception_->connections(), 0U);
}

TEST_F(ReceptionTest, FramesWorthNotingAreNoted) {
  std::vector<std::string> noted;
  ReceptionOptions options;
  options.on_frame = [&](const std::string& peer, const Frame& frame, bool received) {
    noted.push_back((received ? peer + " says " : peer + " hears ") +
                    std::string(name(kind_of(frame.message))));
  };
  start(options);
  const auto peer = joined("a");
  hear(*peer, Heartbeat{1, "training", 1, 2});
  hear(*peer, BlobRequest{sha256_hex(pool_), 0});
  EXPECT_EQ(noted, (std::vector<std::string>{"a says Hello", "a hears Welcome", "a says Join",
                                             "a hears RoundPlan", "a says BlobRequest"}));
}

}  // namespace
}  // namespace fedstill
