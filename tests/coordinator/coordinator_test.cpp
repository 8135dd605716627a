#include "coordinator/coordinator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "tests/coordinator/fixture.h"
#include "tests/support/tiny_update.h"
#include "transport/archive.h"

namespace fedstill {
namespace {

constexpr std::uint32_t kRound = 7;

CoordinatorOptions some_options() {
  CoordinatorOptions options;
  options.round.expected_clients = 3;
  options.round.min_clients = 2;
  options.round.deadline = std::chrono::seconds{1};
  options.round.stalled_after = std::chrono::milliseconds{300};
  options.plan = {std::string(64, 'a'), kRound, std::string(64, 'b'), 3};
  options.image = {1, 4, 4};
  options.classes = 3;
  return options;
}

// A coordinator with verbs.
class CoordinatorTest : public testing::Test {
 protected:
  void open(const CoordinatorOptions& options = some_options()) {
    coordinator_.reset();
    store_.reset();
    store_ = std::make_unique<Store>(folder_.path());
    coordinator_ = std::make_unique<Coordinator>(options, *store_, now_);
  }
  void SetUp() override { open(); }

  Reaction react(const std::string& peer, const Message& message,
                 std::vector<std::byte> body = {}) {
    Reaction reaction =
        settled(coordinator_->receive(peer, {message, std::move(body)}, now_), now_);
    for (const Frame& frame : reaction.frames) {
      EXPECT_EQ(find_problem(frame.message), "");
      EXPECT_NO_THROW(encode_message(frame.message));
    }
    return reaction;
  }
  // Where the answer is one frame.
  Message tell(const std::string& peer, const Message& message, std::vector<std::byte> body = {}) {
    const Reaction reaction = react(peer, message, std::move(body));
    EXPECT_EQ(reaction.frames.size(), 1U);
    return reaction.frames.at(0).message;
  }
  void tell_nothing(const std::string& peer, const Message& message) {
    EXPECT_TRUE(react(peer, message).frames.empty());
  }
  Message join(const std::string& client, std::int64_t samples = 100) {
    return tell(client, Join{client, "tiny", samples});
  }
  // Offers and sends a blob; the last answer.
  Message send_blob(const std::string& client, const std::vector<std::byte>& body) {
    const std::string sha256 = sha256_hex(body);
    Message answer = tell(client, BlobOffer{sha256, body.size(), "update"});
    const auto* request = std::get_if<BlobRequest>(&answer);
    if (request == nullptr || request->offset == body.size()) return answer;
    return tell(client, BlobChunk{sha256, request->offset},
                {body.begin() + static_cast<std::ptrdiff_t>(request->offset), body.end()});
  }
  static Upload claim(const std::string& client, const std::vector<std::byte>& body) {
    return {kRound, client, sha256_hex(body), 100};
  }
  Acknowledgement upload(const std::string& client, const std::vector<std::byte>& body) {
    const Message answer = send_blob(client, body);
    if (const auto* refusal = std::get_if<Acknowledgement>(&answer)) return *refusal;
    return std::get<Acknowledgement>(tell(client, claim(client, body)));
  }
  Acknowledgement upload(const std::string& client, const Graph& graph) {
    return upload(client, encode_model(graph));
  }
  void join_and_upload(const std::string& client, std::uint64_t seed) {
    join(client);
    EXPECT_TRUE(upload(client, tiny_update(seed)).accepted);
  }
  void expect_refused(const Message& answer, const std::string& why,
                      Refusal refusal = Refusal::kFinal) {
    const auto& acknowledgement = std::get<Acknowledgement>(answer);
    EXPECT_FALSE(acknowledgement.accepted);
    EXPECT_EQ(acknowledgement.refusal, refusal);
    EXPECT_NE(acknowledgement.reason.find(why), std::string::npos) << acknowledgement.reason;
    EXPECT_TRUE(coordinator_->round().uploads().empty());
    EXPECT_TRUE(store_->uploads(kRound).empty());
  }
  Round::Member member(const std::string& client) const {
    return coordinator_->round().member(client, now_);
  }

  TemporaryFolder folder_;
  Instant now_{0};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, AJoinIsAnsweredWithThePlan) {
  EXPECT_EQ(join("a"), Message(some_options().plan));
  EXPECT_EQ(join("a"), Message(some_options().plan));
  EXPECT_EQ(store_->joins(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, AnUploadIsStoredAndAcknowledged) {
  join("a");
  const auto body = encode_model(tiny_update(1));
  const Acknowledgement answer = upload("a", body);
  EXPECT_EQ(answer, (Acknowledgement{kRound, sha256_hex(body), true, ""}));
  EXPECT_EQ(store_->uploads(kRound),
            (std::vector<StoredUpload>{{kRound, "a", sha256_hex(body), 100}}));
  EXPECT_EQ(member("a"), Round::Member::kUploaded);
  EXPECT_EQ(upload("a", body), answer);  // said again, answered again
  EXPECT_EQ(store_->uploads(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, UpdatesAreTheAcceptedOnesByName) {
  for (const char* client : {"c", "a", "b"}) {
    join_and_upload(client, static_cast<std::uint64_t>(client[0]));
  }
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  const auto updates = coordinator_->updates();
  ASSERT_EQ(updates.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(updates[i].client, std::string(1, static_cast<char>('a' + i)));
    EXPECT_EQ(updates[i].sha256, model_hash(tiny_update('a' + i)));
    EXPECT_EQ(sha256_hex_of_file(updates[i].file), updates[i].sha256);
    EXPECT_EQ(updates[i].sample_count, 100);
  }
}

TEST_F(CoordinatorTest, AJoinWithAnImplausibleCountIsRefused) {
  expect_refused(join("a", 0), "sample_count");
  expect_refused(join("a", 100'000'001), "sample_count");
  join("a", 100);
  expect_refused(join("a", 101), "the same is expected");
  EXPECT_EQ(store_->joins(kRound).front().sample_count, 100);
}

// A first attempt with the wrong images binds nobody to them.
TEST_F(CoordinatorTest, AClientThatTookItsLeaveMayComeWithSomethingElse) {
  join("a", 100);
  tell_nothing("a", Heartbeat{kRound, "body", 1, 2});
  tell_nothing("a", Leave{"the images are not of the pool's size"});
  coordinator_->leave("a", now_);
  EXPECT_EQ(tell("a", Join{"a", "other", 60}), Message(some_options().plan));
  EXPECT_EQ(store_->joins(kRound),
            (std::vector<StoredJoin>{{kRound, "a", "other", 60, Participation::kModel}}));
  EXPECT_EQ(member("a"), Round::Member::kJoined);
  SetUp();
  EXPECT_EQ(coordinator_->joins().at("a").sample_count, 60);
  const auto body = encode_model(tiny_update(1));
  EXPECT_EQ(tell("a", Join{"a", "other", 60}), Message(some_options().plan));
  send_blob("a", body);
  Upload its_claim = claim("a", body);
  its_claim.sample_count = 60;
  EXPECT_TRUE(std::get<Acknowledgement>(tell("a", its_claim)).accepted);
  tell_nothing("a", Leave{"stopped"});
  const auto answer = std::get<Acknowledgement>(join("a", 100));  // that one stands
  EXPECT_TRUE(answer.reason.ends_with("the same is expected")) << answer.reason;
}

TEST_F(CoordinatorTest, AClientWhoseUpdateWasRefusedMayComeWithSomethingElse) {
  join("a", 100);
  expect_refused(upload("a", numbered_bytes(1)), "[");
  EXPECT_EQ(member("a"), Round::Member::kRefused);
  coordinator_->leave("a", now_);
  EXPECT_EQ(join("a", 60), Message(some_options().plan));
  EXPECT_EQ(member("a"), Round::Member::kJoined);
}

TEST_F(CoordinatorTest, OneThatMayStillBeAtWorkIsNotPushedAside) {
  join("a", 100);
  const auto expect_twin_refused = [&] {
    coordinator_->leave("a", now_);  // its connection gave way to the twin's
    expect_refused(join("a", 60), "or was silent for 45 s");
    tell_nothing("a", Leave{"refused"});  // which says nothing about the first one
    coordinator_->leave("a", now_);
  };
  expect_twin_refused();
  expect_twin_refused();
  join("a", 100);
  now_ += some_options().round.silent_after - Instant{1};
  expect_twin_refused();
  now_ += Instant{1};
  EXPECT_TRUE(
      std::holds_alternative<Acknowledgement>(join("a", 60)));  // the round failed meanwhile
  EXPECT_EQ(store_->joins(kRound).front().sample_count, 60);
}

TEST_F(CoordinatorTest, WhoFellSilentBetweenRoundsMayComeWithSomethingElse) {
  CoordinatorOptions options = some_options();
  options.plan.rounds = 2;
  open(options);
  for (const char* client : {"a", "b", "c"}) {
    join_and_upload(client, static_cast<std::uint64_t>(client[0]));
  }
  join("d", 100);  // the round is closed: it waits for the next one
  coordinator_->leave("d", now_);
  now_ += options.round.silent_after - Instant{1};
  EXPECT_FALSE(std::get<Acknowledgement>(join("d", 60)).accepted);
  now_ += Instant{1};
  EXPECT_TRUE(std::get<Acknowledgement>(join("d", 60)).accepted);
  EXPECT_EQ(coordinator_->joins().at("d").sample_count, 60);
}

TEST_F(CoordinatorTest, AClaimThatDoesNotMatchIsRefused) {
  const auto body = encode_model(tiny_update(1));
  expect_refused(upload("a", body), "not joined");
  expect_refused(tell("a", claim("a", body)), "not joined");
  join("a");
  expect_refused(tell("a", claim("a", body)), "not transferred");
  send_blob("a", body);
  Upload other_round = claim("a", body);
  other_round.round = 8;
  expect_refused(tell("a", other_round), "round: found 8, expected 7");
  other_round.round = 6;
  expect_refused(tell("a", other_round), "round: found 6, expected 7", Refusal::kTooLate);
  Upload other_count = claim("a", body);
  other_count.sample_count = 1'000'000;
  expect_refused(tell("a", other_count), "the join said 100");
  expect_refused(tell("a", Predictions{kRound, "a", sha256_hex(body), 100}), "mode");
  EXPECT_TRUE(upload("a", body).accepted);
}

TEST_F(CoordinatorTest, WhoSpeaksIsWhoTheTransportSays) {
  const auto body = encode_model(tiny_update(1));
  expect_refused(tell("b", Join{"a", "tiny", 100}), "the connection is of 'b'");
  EXPECT_TRUE(store_->joins(kRound).empty());
  join("a");
  join("b");
  send_blob("b", body);
  expect_refused(tell("b", claim("a", body)), "the connection is of 'b'");
  expect_refused(tell("a", claim("a", body)), "not transferred");
}

TEST_F(CoordinatorTest, WhatArrivedWithAnotherHashIsRefused) {
  join("a");
  const auto body = encode_model(tiny_update(1)), other = encode_model(tiny_update(2));
  const std::string sha256 = sha256_hex(body);
  tell("a", BlobOffer{sha256, body.size(), "update"});
  expect_refused(tell("a", BlobChunk{sha256, 0}, other), "hash");
  EXPECT_TRUE(react("a", BlobChunk{sha256, 0}, body).frames.empty());  // nobody waits for it now
  expect_refused(tell("a", claim("a", body)), "not transferred");
  EXPECT_TRUE(upload("a", body).accepted);
}

TEST_F(CoordinatorTest, ChunksAgainOutOfOrderOrMissing) {
  const std::vector<std::byte> model = encode_model(tiny_update(1));
  const std::string sha256 = sha256_hex(model);
  const auto piece = [&](std::size_t begin, std::size_t end) {
    return tell("a", BlobChunk{sha256, begin},
                {model.begin() + static_cast<std::ptrdiff_t>(begin),
                 model.begin() + static_cast<std::ptrdiff_t>(end)});
  };
  const auto written = [](const Message& answer) { return std::get<BlobProgress>(answer).offset; };
  join("a");
  tell("a", BlobOffer{sha256, model.size(), "update"});
  EXPECT_EQ(written(piece(0, 50)), 50U);
  EXPECT_EQ(written(piece(0, 50)), 50U);
  EXPECT_EQ(written(piece(20, 60)), 60U);
  EXPECT_THROW(piece(100, 150), DecodeError);  // the connection ends; what is there stays
  coordinator_->leave("a", now_);
  join("a");
  const Message again = tell("a", BlobOffer{sha256, model.size(), "update"});
  EXPECT_EQ(std::get<BlobRequest>(again).offset, 60U);
  EXPECT_EQ(written(piece(60, model.size())), model.size());
  EXPECT_TRUE(std::get<Acknowledgement>(tell("a", claim("a", model))).accepted);
}

TEST_F(CoordinatorTest, AnOfferMustFit) {
  join("a");
  const std::string sha256(64, 'c');
  expect_refused(tell("a", BlobOffer{sha256, 10, "predictions"}), "purpose");
  CoordinatorOptions options = some_options();
  options.update.file.max_file_bytes = 1000;
  open(options);
  expect_refused(tell("a", BlobOffer{sha256, 1001, "update"}), "1001 bytes, expected at most 1000");
  EXPECT_EQ(tell("a", BlobOffer{sha256, 1000, "update"}), Message(BlobRequest{sha256, 0}));
}

TEST_F(CoordinatorTest, ATransferGoesOnAfterACutAndARestart) {
  join("a");
  const auto body = encode_model(tiny_update(1));
  const std::string sha256 = sha256_hex(body);
  tell("a", BlobOffer{sha256, body.size(), "update"});
  const std::vector<std::byte> half(body.begin(), body.begin() + 100);
  EXPECT_EQ(tell("a", BlobChunk{sha256, 0}, half), Message(BlobProgress{sha256, 100}));
  EXPECT_EQ(tell("a", BlobChunk{sha256, 0}, half), Message(BlobProgress{sha256, 100}));
  EXPECT_EQ(member("a"), Round::Member::kUploading);
  EXPECT_THROW(react("a", BlobChunk{sha256, 101}, half), DecodeError);
  for (const bool restart : {false, true}) {
    coordinator_->leave("a", now_);
    if (restart) open();
    join("a");
    EXPECT_EQ(tell("a", BlobOffer{sha256, body.size(), "update"}),
              Message(BlobRequest{sha256, 100}));
  }
  EXPECT_EQ(tell("a", BlobChunk{sha256, 100}, {body.begin() + 100, body.end()}),
            Message(BlobProgress{sha256, body.size()}));
  EXPECT_TRUE(upload("a", body).accepted);
}

TEST_F(CoordinatorTest, WhatIsThereIsNotAskedForAgain) {
  const auto body = encode_model(tiny_update(1));
  const Message has_it = BlobRequest{sha256_hex(body), body.size()};
  join("a");
  join("b");
  send_blob("a", body);
  open();  // killed before the claim
  join("a");
  EXPECT_EQ(send_blob("a", body), has_it);
  EXPECT_TRUE(upload("a", body).accepted);
  EXPECT_EQ(send_blob("a", body), has_it);
  EXPECT_EQ(send_blob("b", body), has_it);  // two clients, one update
  EXPECT_TRUE(upload("b", body).accepted);
}

TEST_F(CoordinatorTest, BlobsThatNobodyClaimsDoNotPileUp) {
  join("a");
  for (std::uint64_t i = 0; i < 5; ++i) send_blob("a", encode_model(tiny_update(i)));
  EXPECT_EQ(store_->blobs().list().size(), 1U);
  expect_refused(upload("a", numbered_bytes(1)), "");
  EXPECT_TRUE(store_->blobs().list().empty());
}

TEST_F(CoordinatorTest, BytesThatAreNoModelAreRefused) {
  join("a");
  expect_refused(upload("a", numbered_bytes(1)), "");
  EXPECT_EQ(member("a"), Round::Member::kRefused);
  auto body = encode_model(tiny_update(1));
  body.resize(body.size() - 1);
  expect_refused(upload("a", body), "");
  EXPECT_TRUE(upload("a", tiny_update(1)).accepted);
  EXPECT_EQ(member("a"), Round::Member::kUploaded);
}

TEST_F(CoordinatorTest, AnotherInputOrOutputIsRefused) {
  join("a");
  expect_refused(upload("a", tiny_update(1, 3, {1, 4, 5})), "input: found [1, 4, 5]");
  expect_refused(upload("a", tiny_update(1, 4)), "logits: found [4], expected [3]");
  Graph graph = tiny_update(1);
  graph.outputs.erase("confidence");
  expect_refused(upload("a", graph), "outputs");
  graph = tiny_update(1);
  graph.outputs["confidence"] -= 1;  // before the Reshape: [1] instead of []
  expect_refused(upload("a", graph), "confidence: found [1], expected []");
  graph = tiny_update(1);
  graph.outputs["more"] = 0;
  expect_refused(upload("a", graph), "outputs");
}

TEST_F(CoordinatorTest, WeightsThatAreNotFiniteAreRefused) {
  join("a");
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Graph graph = tiny_update(1);
    graph.tensors.begin()->second.values<float>()[0] = bad;
    expect_refused(upload("a", graph), "finite");
  }
}

TEST_F(CoordinatorTest, AModelOverTheLimitsIsRefused) {
  CoordinatorOptions options = some_options();
  options.update.max_operations = 10;
  open(options);
  join("a");
  expect_refused(upload("a", tiny_update(1)), "operations");
  options = some_options();
  options.update.max_activation_bytes = 10;
  open(options);
  expect_refused(upload("a", tiny_update(1)), "bytes of activations");
  options = some_options();
  options.update.file.graph.max_nodes = 2;
  open(options);
  expect_refused(upload("a", tiny_update(1)), "");
}

TEST_F(CoordinatorTest, ASecondDifferentUploadIsRefusedAndTheFirstStands) {
  join("a");
  const auto body = encode_model(tiny_update(1));
  upload("a", body);
  EXPECT_FALSE(upload("a", tiny_update(2)).accepted);
  EXPECT_FALSE(
      std::get<Acknowledgement>(tell("a", claim("a", encode_model(tiny_update(2))))).accepted);
  EXPECT_EQ(coordinator_->round().uploads().at("a"), sha256_hex(body));
  EXPECT_EQ(store_->uploads(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, MessagesOfTheOtherSideAreRefused) {
  expect_refused(tell("a", some_options().plan), "does not send");
  expect_refused(tell("a", Bundle{kRound, std::string(64, 'a'), 1}), "does not send");
  expect_refused(tell("a", StatusRequest{"status", ""}), "does not send");
  expect_refused(tell("a", Join{"../a", "", 1}), "client");
  const Acknowledgement thanks{kRound, std::string(64, 'a'), true, ""};
  EXPECT_TRUE(react("a", thanks).frames.empty());
  EXPECT_TRUE(react("a", Leave{"bye"}).frames.empty());
  EXPECT_TRUE(react("a", Heartbeat{kRound, "training", 1, 2}).frames.empty());
}

TEST_F(CoordinatorTest, AHostileModelsErrorTextIsSafeToSend) {
  join("a");
  Graph graph = tiny_update(1);
  graph.nodes[1].name = "evil\x1b[31m\n" + std::string(400, 'x');
  graph.outputs["logits"] = 1;
  EXPECT_FALSE(upload("a", graph).accepted);  // tell() checks that the answer can be encoded
}

TEST_F(CoordinatorTest, ClosesAtTheDeadlineAndSaysSoOnce) {
  join_and_upload("a", 1);
  join_and_upload("b", 2);
  join("c");
  for (now_ = Instant{249}; now_ < Instant{999}; now_ += Instant{250}) {
    react("c", Heartbeat{kRound, "training", static_cast<std::uint64_t>(now_.count()), 999});
  }
  tell("c", BlobOffer{std::string(64, 'c'), 10, "update"});
  EXPECT_EQ(coordinator_->round().state(), Round::State::kCollecting);
  now_ = Instant{1000};
  const Acknowledgement late = upload("c", tiny_update(3));
  EXPECT_FALSE(late.accepted);
  EXPECT_EQ(late.refusal, Refusal::kTooLate);
  coordinator_->tick(now_);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  EXPECT_EQ(store_->decisions(kRound), (std::vector<StoredDecision>{{"closed", "2 uploads"}}));
}

TEST_F(CoordinatorTest, ResumesWithWhatWasAccepted) {
  join_and_upload("a", 1);
  join("b");
  open();
  EXPECT_EQ(member("b"), Round::Member::kGone);
  EXPECT_EQ(coordinator_->round().uploads().at("a"), model_hash(tiny_update(1)));
  EXPECT_TRUE(upload("a", tiny_update(1)).accepted);
  EXPECT_TRUE(upload("b", tiny_update(2)).accepted);
  join_and_upload("c", 3);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  open();
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  EXPECT_EQ(coordinator_->updates().size(), 3U);
  EXPECT_EQ(store_->decisions(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, ARoundThatWasOverStaysOver) {
  for (const bool enough : {true, false}) {
    join_and_upload("a", 1);
    if (enough) join_and_upload("b", 2);
    coordinator_->tick(Instant{1000});
    const auto state = coordinator_->round().state();
    EXPECT_EQ(state, enough ? Round::State::kClosed : Round::State::kFailed);
    const std::string failure = coordinator_->round().failure();
    now_ = Instant{0};  // another clock after the restart
    open();
    EXPECT_EQ(coordinator_->round().state(), state);
    EXPECT_EQ(coordinator_->round().failure(), failure);
    EXPECT_EQ(store_->decisions(kRound).size(), 1U);
    store_.reset();
    std::filesystem::remove_all(folder_.path());
    open();
  }
}

TEST_F(CoordinatorTest, AFailedRoundMayBeReopenedForGood) {
  join_and_upload("a", 1);
  EXPECT_THROW(coordinator_->reopen(now_), std::logic_error);
  coordinator_->tick(Instant{1000});
  coordinator_->reopen(Instant{1000});
  open();
  EXPECT_EQ(coordinator_->round().state(), Round::State::kCollecting);
  join_and_upload("b", 2);
  join_and_upload("c", 3);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
}

TEST_F(CoordinatorTest, WhoIsExcludedWhileARoundHasFailedCountsNoMoreOnceItIsReopened) {
  join_and_upload("a", 1);
  coordinator_->tick(now_ = Instant{1000});
  coordinator_->exclude("a", "why", now_);
  coordinator_->reopen(now_);
  EXPECT_TRUE(coordinator_->round().uploads().empty());
  coordinator_->readmit("a", now_);
  open();  // nor after a restart
  EXPECT_TRUE(coordinator_->round().uploads().empty());
  join_and_upload("a", 2);
  EXPECT_EQ(coordinator_->round().uploads().size(), 1U);
}

TEST_F(CoordinatorTest, WhoComesWhileARoundHasFailedTakesPartOnceItIsReopened) {
  join_and_upload("a", 1);
  coordinator_->tick(now_ = Instant{1000});
  for (const char* client : {"b", "c"}) {
    EXPECT_TRUE(std::get<Acknowledgement>(join(client)).accepted) << client;
    if (client[0] == 'b') open();  // and after a restart
  }
  coordinator_->reopen(now_);
  EXPECT_EQ(member("c"), Round::Member::kJoined);
  EXPECT_TRUE(upload("c", tiny_update(3)).accepted);
  join_and_upload("b", 2);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
}

// Only time in which a coordinator was there counts, and neither another clock after a reboot nor a
// hundred restarts give or take more than what was not noted yet.
TEST_F(CoordinatorTest, TheDeadlineGoesOnAfterARestart) {
  CoordinatorOptions options = some_options();
  options.round.deadline = std::chrono::minutes{10};
  open(options);
  const auto left = [&] { return coordinator_->round().deadline() - now_; };
  std::chrono::milliseconds before = left();
  for (const Instant after_reboot : {Instant{1'000'000'000}, Instant{5}, Instant{0}}) {
    for (int i = 0; i < 60; ++i) coordinator_->tick(now_ += std::chrono::seconds{1});
    now_ = after_reboot;
    open(options);
    EXPECT_EQ(before - left(), std::chrono::seconds{60});
    before = left();
  }
  coordinator_->tick(now_ += before - std::chrono::seconds{1});
  EXPECT_EQ(coordinator_->round().state(), Round::State::kCollecting);
  coordinator_->tick(now_ += std::chrono::seconds{1});
  EXPECT_EQ(coordinator_->round().state(), Round::State::kFailed);
  coordinator_->reopen(now_);
  open(options);
  EXPECT_EQ(left(), options.round.deadline);
}

TEST_F(CoordinatorTest, AnotherJobsStoreIsRefused) {
  CoordinatorOptions options = some_options();
  options.plan.job = std::string(64, 'd');
  EXPECT_THROW(open(options), std::invalid_argument);
}

TEST_F(CoordinatorTest, ADamagedUpdateIsForgottenWhileTheRoundCollects) {
  join_and_upload("a", 1);
  const auto file = store_->blob(model_hash(tiny_update(1)));
  flip_byte(file, 100);
  open();
  EXPECT_TRUE(coordinator_->round().uploads().empty());
  EXPECT_EQ(store_->decisions(kRound).front().what, "lost");
  join_and_upload("a", 1);
  std::filesystem::remove(file);
  open();
  EXPECT_TRUE(coordinator_->round().uploads().empty());
  join_and_upload("a", 1);
  join_and_upload("b", 2);
  join_and_upload("c", 3);
  flip_byte(file, 100);
  EXPECT_THROW(open(), DecodeError);  // the round was closed with it
}

TEST_F(CoordinatorTest, ContradictoryOptionsAreRefused) {
  CoordinatorOptions options = some_options();
  options.classes = 4;
  EXPECT_THROW(open(options), std::invalid_argument);
  options = some_options();
  options.plan.job = "job";
  EXPECT_THROW(open(options), std::invalid_argument);
}

TEST_F(CoordinatorTest, AGoneClientMayComeBack) {
  join("a");
  coordinator_->leave("a", now_);
  EXPECT_EQ(member("a"), Round::Member::kGone);
  EXPECT_EQ(join("a"), Message(some_options().plan));
  EXPECT_EQ(member("a"), Round::Member::kJoined);
  EXPECT_TRUE(upload("a", tiny_update(1)).accepted);
}

TEST_F(CoordinatorTest, AnExcludedClientIsOutUntilReadmitted) {
  EXPECT_THROW(coordinator_->exclude("a", "", now_), std::invalid_argument);
  join_and_upload("a", 1);
  coordinator_->exclude("a", "sends nonsense", now_);
  for (const bool restarted : {false, true}) {
    if (restarted) open();
    EXPECT_EQ(member("a"), Round::Member::kExcluded);
    expect_refused(join("a"), "sends nonsense");
    expect_refused(upload("a", tiny_update(1)), "excluded");
  }
  coordinator_->readmit("a", now_);
  for (const bool restarted : {false, true}) {
    if (restarted) open();
    EXPECT_EQ(member("a"), Round::Member::kGone);
  }
  join_and_upload("a", 1);
}

TEST_F(CoordinatorTest, AnUpdateThatCountedWhenTheRoundClosedCounts) {
  for (const char* client : {"a", "b", "c"}) join_and_upload(client, 1);
  coordinator_->exclude("a", "later", now_);
  for (const bool restarted : {false, true}) {
    if (restarted) open();
    EXPECT_EQ(coordinator_->updates().size(), 3U);
    EXPECT_EQ(member("a"), Round::Member::kExcluded);
  }
}

// Predictions instead of a model.
class PredictionsTest : public CoordinatorTest {
 protected:
  void SetUp() override {
    CoordinatorOptions options = some_options();
    options.pool_samples = 4;
    open(options);
  }
  std::vector<std::byte> file(float first = 1.0F, std::string pool = std::string(64, 'b')) {
    std::vector<float> logits(12, 0.5F), confidences(4, 0.25F);
    logits[0] = first;
    const auto path = folder_.path() / "file";
    write_predictions_file(path, {std::move(pool), 4, 3}, logits, confidences);
    return read_file(path, 1 << 20);
  }
  Message join_with_predictions(const std::string& client, std::int64_t samples = 100) {
    return tell(client, Join{client, "secret", samples, Participation::kPredictions});
  }
  Acknowledgement predict(const std::string& client, const std::vector<std::byte>& body,
                          std::int64_t samples = 100) {
    const std::string sha256 = sha256_hex(body);
    Message answer = tell(client, BlobOffer{sha256, body.size(), "predictions"});
    if (std::holds_alternative<Acknowledgement>(answer)) return std::get<Acknowledgement>(answer);
    answer = tell(client, BlobChunk{sha256, 0}, body);
    EXPECT_TRUE(std::holds_alternative<BlobProgress>(answer));
    return std::get<Acknowledgement>(tell(client, Predictions{kRound, client, sha256, samples}));
  }
};

TEST_F(PredictionsTest, BothWaysInOneRound) {
  join_with_predictions("a");
  EXPECT_TRUE(predict("a", file()).accepted);
  join_and_upload("b", 1);
  join_with_predictions("c", 9000);
  EXPECT_TRUE(predict("c", file(2.0F), 9000).accepted);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  const auto updates = coordinator_->updates();
  ASSERT_EQ(updates.size(), 3U);
  EXPECT_EQ(updates[0].mode, Participation::kPredictions);
  EXPECT_EQ(updates[1].mode, Participation::kModel);
  EXPECT_EQ(read_predictions_file(updates[2].file, coordinator_->pool()).logits[0], 2.0F);
}

TEST_F(PredictionsTest, AreNotTakenWhereTheJobHasNoUseForThem) {
  open(some_options());
  expect_refused(join_with_predictions("a"), "takes models");
}

TEST_F(PredictionsTest, ThatMeanNothingAreRefused) {
  join_with_predictions("a");
  auto nan = file();
  nan[130] = nan[131] = std::byte{0xFF};
  expect_refused(predict("a", nan), "a logit: found");
  expect_refused(predict("a", file(1.0F, std::string(64, 'c'))), "of this pool");
  auto longer = file();
  longer.push_back(std::byte{0});
  expect_refused(predict("a", longer), "expected at most");
  auto shorter = file();
  shorter.pop_back();
  expect_refused(predict("a", shorter), "bytes, expected");
  const auto model = encode_model(tiny_update(1));
  expect_refused(tell("a", BlobOffer{sha256_hex(model), model.size(), "update"}), "purpose");
  EXPECT_TRUE(predict("a", file()).accepted);
}

TEST_F(PredictionsTest, SurviveARestart) {
  join_with_predictions("a");
  predict("a", file());
  SetUp();
  EXPECT_EQ(coordinator_->updates().at(0).mode, Participation::kPredictions);
  const auto other_way = std::get<Acknowledgement>(join("a"));
  EXPECT_EQ(other_way.reason,
            "[join] the first time it was secret with 100 images, sending predictions: the same is "
            "expected");
}

// Several rounds.
class RoundsTest : public CoordinatorTest {
 protected:
  static CoordinatorOptions three_rounds() {
    CoordinatorOptions options = some_options();
    options.plan.round = 1;
    options.plan.rounds = 3;
    options.plan.pool_bytes = 50;
    options.plan.pool_hash = sha256_hex(numbered_bytes(77, 50));
    options.round.expected_clients = 2;
    return options;
  }
  void open_again() { open(three_rounds()); }
  void SetUp() override {
    open_again();
    pool_ = store_->blobs().add(numbered_bytes(77, 50));
  }

  RoundPlan plan(std::uint32_t round) {
    RoundPlan plan = three_rounds().plan;
    plan.round = round;
    if (round > 1) {
      plan.student = student(round - 1).sha256;
      plan.student_bytes = student(round - 1).bytes;
    }
    return plan;
  }
  BlobInfo bundle(std::uint32_t round) {
    return store_->blobs().add(numbered_bytes(static_cast<int>(round), 300));
  }
  BlobInfo student(std::uint32_t round) {
    return store_->blobs().add(numbered_bytes(static_cast<int>(round) + 50, 200));
  }
  void publish() {
    const auto round = coordinator_->round().number();
    settled(coordinator_->publish(bundle(round), student(round), now_), now_);
  }
  Message news_bundle(std::uint32_t round) {
    return Bundle{round, bundle(round).sha256, bundle(round).bytes, round == 3};
  }
  Acknowledgement upload_in(std::uint32_t round, const std::string& client, std::uint64_t seed) {
    const auto body = encode_model(tiny_update(seed));
    send_blob(client, body);
    return std::get<Acknowledgement>(tell(client, Upload{round, client, sha256_hex(body), 100}));
  }
  void play(std::uint32_t round) {
    for (const char* client : {"a", "b"}) {
      react(client, Join{client, "tiny", 100});
      EXPECT_TRUE(upload_in(round, client, round).accepted);
    }
    EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  }
  std::vector<Message> messages(const std::vector<Frame>& frames) {
    std::vector<Message> found;
    for (const Frame& frame : frames) found.push_back(frame.message);
    return found;
  }
  BlobInfo pool_;
};

TEST_F(RoundsTest, GoFromOneToTheNextAndEnd) {
  for (std::uint32_t round = 1; round <= 3; ++round) {
    EXPECT_EQ(coordinator_->round().number(), round);
    EXPECT_THROW(publish(), std::logic_error);
    play(round);
    publish();
    const auto news = messages(coordinator_->news());
    const std::vector<Message> expected{news_bundle(round), plan(round + 1)};
    EXPECT_EQ(news, round < 3 ? expected : std::vector<Message>{news_bundle(3)});
    EXPECT_EQ(coordinator_->finished(), round == 3);
  }
  EXPECT_THROW(publish(), std::logic_error);
}

TEST_F(RoundsTest, ARestartInAnyPhaseGoesOnThere) {
  for (std::uint32_t round = 1; round <= 3; ++round) {
    open_again();
    EXPECT_EQ(coordinator_->round().state(), Round::State::kCollecting);
    play(round);
    open_again();
    EXPECT_EQ(coordinator_->round().number(), round);
    EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
    EXPECT_EQ(coordinator_->updates().size(), 2U);
    publish();
    open_again();
    EXPECT_EQ(coordinator_->round().number(), std::min(round + 1, 3U));
    EXPECT_EQ(coordinator_->last_result()->round, round);
  }
  EXPECT_TRUE(coordinator_->finished());
  EXPECT_EQ(messages(react("a", Join{"a", "tiny", 100}).frames),
            std::vector<Message>{news_bundle(3)});
}

TEST_F(RoundsTest, WhoComesMidwayGetsTheLastBundleAndTheNextPlan) {
  play(1);
  const auto waiting = std::get<Acknowledgement>(tell("c", Join{"c", "tiny", 100}));
  EXPECT_TRUE(waiting.accepted);
  EXPECT_FALSE(coordinator_->round().members().contains("c"));
  for (const bool restarted : {false, true}) {
    if (restarted) {
      open_again();
    } else {
      publish();
    }
    EXPECT_EQ(member("c"), restarted ? Round::Member::kGone : Round::Member::kJoined);
    const auto frames = react("d", Join{"d", "tiny", 100}).frames;
    EXPECT_EQ(messages(frames), (std::vector<Message>{news_bundle(1), plan(2)}));
  }
  EXPECT_TRUE(upload_in(2, "c", 5).accepted);
}

TEST_F(RoundsTest, AnUpdateOfThePastIsTooLate) {
  play(1);
  react("c", Join{"c", "tiny", 100});
  publish();
  const auto body = encode_model(tiny_update(9));
  send_blob("c", body);
  const auto answer = std::get<Acknowledgement>(tell("c", Upload{1, "c", sha256_hex(body), 100}));
  EXPECT_EQ(answer.refusal, Refusal::kTooLate);
  EXPECT_TRUE(upload_in(2, "c", 9).accepted);
}

TEST_F(RoundsTest, AClientFetchesWhatWasAnnouncedAndNothingElse) {
  play(1);
  const std::string update = model_hash(tiny_update(1));
  ASSERT_TRUE(store_->blobs().has(update));
  const auto fetch = [&](const std::string& sha256, std::uint64_t offset = 0) {
    return react("a", BlobRequest{sha256, offset});
  };
  const auto expect_given = [&](const BlobInfo& blob) {
    const auto transfer = fetch(blob.sha256, 5).transfer;
    ASSERT_TRUE(transfer);
    EXPECT_EQ(transfer->blob, blob);
    EXPECT_EQ(transfer->offset, 5U);
    EXPECT_FALSE(fetch(blob.sha256, blob.bytes).transfer);
  };
  const auto expect_kept_back = [&](const std::string& sha256) {
    const Reaction reaction = fetch(sha256);
    EXPECT_FALSE(reaction.transfer);
    const auto& answer = std::get<Acknowledgement>(reaction.frames.at(0).message);
    EXPECT_FALSE(answer.accepted);
    EXPECT_EQ(answer.reason, "[blob] not announced to this client");  // whether it exists or not
  };
  const BlobInfo bundle_1 = bundle(1);
  expect_given(pool_);
  expect_kept_back(update);
  expect_kept_back(std::string(64, 'e'));
  expect_kept_back(bundle_1.sha256);
  publish();
  expect_given(bundle_1);
  expect_given(student(1));
  play(2);
  publish();
  expect_given(bundle_1);
  expect_given(bundle(2));
  expect_kept_back(student(1).sha256);
  play(3);
  publish();
  expect_kept_back(bundle_1.sha256);
  const Reaction stranger = react("nobody", BlobRequest{std::string(64, 'e'), 0});
  EXPECT_FALSE(stranger.transfer);
}

TEST_F(RoundsTest, OnlyJoinedClientsFetch) {
  EXPECT_FALSE(react("a", BlobRequest{pool_.sha256, 0}).transfer);
  join("a");
  EXPECT_TRUE(react("a", BlobRequest{pool_.sha256, 0}).transfer);
  coordinator_->exclude("a", "", now_);
  EXPECT_FALSE(react("a", BlobRequest{pool_.sha256, 0}).transfer);
}

TEST_F(RoundsTest, WhoHasTheBundleIsKnown) {
  play(1);
  publish();
  react("a", Acknowledgement{1, bundle(1).sha256, true, ""});
  react("b", Acknowledgement{1, std::string(64, 'e'), true, ""});
  react("stranger", Acknowledgement{1, bundle(1).sha256, true, ""});
  EXPECT_EQ(coordinator_->delivered(), std::set<std::string>{"a"});
  open_again();
  EXPECT_EQ(coordinator_->delivered(), std::set<std::string>{"a"});
  play(2);
  publish();
  EXPECT_TRUE(coordinator_->delivered().empty());
}

TEST_F(RoundsTest, BlobsOfThePastDoNotPileUp) {
  std::size_t most = 0;
  for (std::uint32_t round = 1; round <= 3; ++round) {
    play(round);
    publish();
    most = std::max(most, store_->blobs().list().size());
  }
  EXPECT_LE(most, 6U);  // pool, two bundles, a student, the updates of one round
}

}  // namespace
}  // namespace fedstill
