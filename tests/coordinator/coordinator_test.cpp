#include "coordinator/coordinator.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

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
  options.plan = {std::string(64, 'a'), kRound, std::string(64, 'b'), 3};
  options.image = {1, 4, 4};
  options.classes = 3;
  return options;
}

// A coordinator with verbs; every answer is one frame.
class CoordinatorTest : public testing::Test {
 protected:
  void open(const CoordinatorOptions& options = some_options()) {
    coordinator_.reset();
    store_.reset();
    store_ = std::make_unique<Store>(folder_.path());
    coordinator_ = std::make_unique<Coordinator>(options, *store_, now_);
  }
  void SetUp() override { open(); }

  Message tell(const Message& message, std::vector<std::byte> body = {}) {
    const auto answers = coordinator_->receive({message, std::move(body)}, now_);
    EXPECT_EQ(answers.size(), 1U);
    EXPECT_EQ(find_problem(answers.at(0).message), "");
    EXPECT_NO_THROW(encode_message(answers.at(0).message));
    return answers.at(0).message;
  }
  Message join(const std::string& client, std::int64_t samples = 100) {
    return tell(Join{client, "tiny", samples});
  }
  static Upload announce(const std::string& client, const std::vector<std::byte>& body) {
    return {kRound, client, sha256_hex(body), 100};
  }
  Acknowledgement upload(const std::string& client, const std::vector<std::byte>& body) {
    return std::get<Acknowledgement>(tell(announce(client, body), body));
  }
  Acknowledgement upload(const std::string& client, const Graph& graph) {
    return upload(client, encode_model(graph));
  }
  void join_and_upload(const std::string& client, std::uint64_t seed) {
    join(client);
    EXPECT_TRUE(upload(client, tiny_update(seed)).accepted);
  }
  void expect_refused(const Message& answer, const std::string& why) {
    const auto& acknowledgement = std::get<Acknowledgement>(answer);
    EXPECT_FALSE(acknowledgement.accepted);
    EXPECT_NE(acknowledgement.reason.find(why), std::string::npos) << acknowledgement.reason;
    EXPECT_TRUE(coordinator_->round().uploads().empty());
    EXPECT_TRUE(store_->uploads(kRound).empty());
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
  EXPECT_EQ(upload("a", body), answer);  // said again, answered again
  EXPECT_EQ(store_->uploads(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, TeachersAreTheAcceptedUploadsByName) {
  for (const char* client : {"c", "a", "b"}) {
    join_and_upload(client, static_cast<std::uint64_t>(client[0]));
  }
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  const auto teachers = coordinator_->teachers();
  ASSERT_EQ(teachers.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(teachers[i].hash, model_hash(tiny_update('a' + i)));
    EXPECT_EQ(sha256_hex_of_file(teachers[i].model), teachers[i].hash);
    EXPECT_EQ(teachers[i].sample_count, 100);
  }
}

TEST_F(CoordinatorTest, AJoinWithAnImplausibleCountIsRefused) {
  expect_refused(join("a", 0), "sample_count");
  expect_refused(join("a", 100'000'001), "sample_count");
  join("a", 100);
  expect_refused(join("a", 101), "differs");
  EXPECT_EQ(store_->joins(kRound).front().sample_count, 100);
}

TEST_F(CoordinatorTest, AnUploadThatDoesNotMatchItsAnnouncementIsRefused) {
  const auto body = encode_model(tiny_update(1));
  expect_refused(upload("a", body), "not joined");
  join("a");
  Upload other_round = announce("a", body);
  other_round.round = 8;
  expect_refused(tell(other_round, body), "round: found 8, expected 7");
  Upload other_count = announce("a", body);
  other_count.sample_count = 1'000'000;
  expect_refused(tell(other_count, body), "the join said 100");
  expect_refused(tell(announce("a", body), encode_model(tiny_update(2))), "hash");
  expect_refused(tell(announce("a", body), {}), "hash");
  EXPECT_TRUE(upload("a", body).accepted);
}

TEST_F(CoordinatorTest, BytesThatAreNoModelAreRefused) {
  join("a");
  expect_refused(upload("a", numbered_bytes(1)), "");
  expect_refused(upload("a", std::vector<std::byte>{}), "");
  auto body = encode_model(tiny_update(1));
  body.resize(body.size() - 1);
  expect_refused(upload("a", body), "");
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
  options.update.max_multiply_adds = 10;
  open(options);
  join("a");
  expect_refused(upload("a", tiny_update(1)), "multiply-adds");
  options = some_options();
  options.update.max_activation_bytes = 10;
  open(options);
  expect_refused(upload("a", tiny_update(1)), "activation bytes");
  options = some_options();
  options.update.file.graph.max_nodes = 2;
  open(options);
  expect_refused(upload("a", tiny_update(1)), "");
}

TEST_F(CoordinatorTest, ASecondDifferentUploadIsRefusedAndTheFirstStands) {
  join("a");
  const auto body = encode_model(tiny_update(1));
  upload("a", body);
  const Acknowledgement answer = upload("a", tiny_update(2));
  EXPECT_FALSE(answer.accepted);
  EXPECT_EQ(coordinator_->round().uploads().at("a"), sha256_hex(body));
  EXPECT_EQ(store_->uploads(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, MessagesOfTheOtherSideAreRefused) {
  expect_refused(tell(some_options().plan), "does not send");
  expect_refused(tell(Bundle{kRound, std::string(64, 'a'), 1}), "does not send");
  expect_refused(tell(Join{"../a", "", 1}), "client");
  EXPECT_TRUE(
      coordinator_->receive({Acknowledgement{kRound, std::string(64, 'a'), true, ""}, {}}, now_)
          .empty());
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
  now_ = Instant{999};
  coordinator_->tick(now_);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kCollecting);
  now_ = Instant{1000};
  EXPECT_FALSE(upload("c", tiny_update(3)).accepted);
  coordinator_->tick(now_);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  EXPECT_EQ(store_->decisions(kRound), (std::vector<StoredDecision>{{"closed", "2 uploads"}}));
  EXPECT_FALSE(std::get<Acknowledgement>(join("d")).accepted);
  EXPECT_EQ(store_->joins(kRound).size(), 3U);
}

TEST_F(CoordinatorTest, ResumesWithWhatWasAccepted) {
  join_and_upload("a", 1);
  join("b");
  open();
  EXPECT_EQ(coordinator_->round().members().at("b"), Round::Member::kJoined);
  EXPECT_EQ(coordinator_->round().uploads().at("a"), model_hash(tiny_update(1)));
  EXPECT_TRUE(upload("a", tiny_update(1)).accepted);
  EXPECT_TRUE(upload("b", tiny_update(2)).accepted);
  join_and_upload("c", 3);
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  open();
  EXPECT_EQ(coordinator_->round().state(), Round::State::kClosed);
  EXPECT_EQ(coordinator_->teachers().size(), 3U);
  EXPECT_EQ(store_->decisions(kRound).size(), 1U);
}

TEST_F(CoordinatorTest, ARoundThatWasOverStaysOver) {
  for (const bool enough : {true, false}) {
    join_and_upload("a", 1);
    if (enough) join_and_upload("b", 2);
    coordinator_->tick(Instant{1000});
    const auto state = coordinator_->round().state();
    EXPECT_EQ(state, enough ? Round::State::kClosed : Round::State::kFailed);
    now_ = Instant{0};  // another clock after the restart
    open();
    EXPECT_EQ(coordinator_->round().state(), state);
    EXPECT_EQ(store_->decisions(kRound).size(), 1U);
    store_.reset();
    std::filesystem::remove_all(folder_.path());
    open();
  }
}

TEST_F(CoordinatorTest, AnotherRoundBeginsEmpty) {
  join_and_upload("a", 1);
  CoordinatorOptions options = some_options();
  options.plan.round = kRound + 1;
  open(options);
  EXPECT_TRUE(coordinator_->round().members().empty());
}

TEST_F(CoordinatorTest, ADamagedBlobIsNoticedOnResume) {
  join_and_upload("a", 1);
  flip_byte(store_->blob(model_hash(tiny_update(1))), 100);
  EXPECT_THROW(open(), DecodeError);
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
  EXPECT_EQ(coordinator_->round().members().at("a"), Round::Member::kGone);
  EXPECT_EQ(join("a"), Message(some_options().plan));
  EXPECT_TRUE(upload("a", tiny_update(1)).accepted);
}

}  // namespace
}  // namespace fedstill
