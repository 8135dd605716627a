#include "client/client_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

using State = ClientSession::State;
constexpr std::uint32_t kRound = 4;

std::vector<std::byte> bytes_of(int number, std::size_t count = 1000) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(number));
  }
  return bytes;
}
BlobInfo info_of(const std::vector<std::byte>& bytes) { return {sha256_hex(bytes), bytes.size()}; }
const std::vector<std::byte> kPool = bytes_of(1), kStudent = bytes_of(2), kUpdate = bytes_of(3),
                             kBundle = bytes_of(4);

RoundPlan plain_plan(std::uint32_t round = kRound) {
  return {std::string(64, 'a'), round, info_of(kPool).sha256, 3};
}
RoundPlan full_plan() {
  RoundPlan plan = plain_plan();
  plan.pool_bytes = kPool.size();
  plan.student = info_of(kStudent).sha256;
  plan.student_bytes = kStudent.size();
  return plan;
}
Acknowledgement accept(const std::string& sha256) { return {kRound, sha256, true, ""}; }
Acknowledgement refuse(const std::string& sha256, Refusal refusal = Refusal::kFinal) {
  return {kRound, sha256, false, "because", refusal};
}
Bundle bundle_of(std::uint32_t round, const std::vector<std::byte>& bytes, bool last = true) {
  return {round, info_of(bytes).sha256, bytes.size(), last};
}

// A site with verbs; everything it says is what the call returns.
class ClientSessionTest : public testing::Test {
 protected:
  void SetUp() override {
    write_file_atomically(folder_.path() / "update", kUpdate);
    begin();
  }
  // As after a restart of the process.
  void begin(Participation mode = Participation::kModel) {
    session_.reset();
    store_.reset();
    store_.emplace(folder_.path() / "state");
    session_.emplace(ClientIdentity{"site", "tiny", 100, mode, "test"}, *store_);
  }
  std::vector<Message> hear(const Message& message, std::vector<std::byte> body = {}) {
    return messages(session_->receive({message, std::move(body)}));
  }
  static std::vector<Message> messages(const std::vector<Frame>& frames) {
    std::vector<Message> found;
    for (const Frame& frame : frames) found.push_back(frame.message);
    return found;
  }
  std::vector<Message> greet() {
    session_->connected();
    return hear(Welcome{1, "test", {}, 7, 0});
  }
  std::vector<Message> hear_blob(const std::vector<std::byte>& bytes) {
    return hear(BlobChunk{info_of(bytes).sha256, 0}, bytes);
  }
  std::vector<Message> finish() { return messages(session_->finished(folder_.path() / "update")); }
  State state() const { return session_->state(); }
  // A session brought to a state over a fresh connection.
  void bring_to(State state) {
    session_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_.path() / "state");
    begin();
    greet();
    if (state == State::kWaiting) return;
    if (state == State::kRefused) return static_cast<void>(hear(refuse("")));
    if (state == State::kFetching) return static_cast<void>(hear(full_plan()));
    hear(plain_plan());
    if (state == State::kTraining) return;
    finish();
    if (state == State::kUploading) return;
    hear(accept(update_));
    if (state == State::kUploaded) return;
    hear(bundle_of(kRound, kBundle));
    hear_blob(kBundle);
  }

  const std::string update_ = info_of(kUpdate).sha256;
  const Message offer_ = BlobOffer{update_, kUpdate.size(), "update"};
  const Message claim_ = Upload{kRound, "site", update_, 100};
  TemporaryFolder folder_;
  std::optional<ClientStore> store_;
  std::optional<ClientSession> session_;
};

constexpr State kAll[] = {State::kWaiting,  State::kFetching, State::kTraining, State::kUploading,
                          State::kUploaded, State::kDone,     State::kRefused};

// So that its site is not bound to what came to nothing.
TEST_F(ClientSessionTest, AnUpdateThatIsRefusedForGoodIsForgotten) {
  bring_to(State::kUploading);
  hear(refuse(update_, Refusal::kTryLater));
  EXPECT_TRUE(store_->update().has_value());
  hear(refuse(update_));
  EXPECT_EQ(state(), State::kRefused);
  EXPECT_FALSE(store_->update().has_value());
  begin();
  EXPECT_FALSE(store_->update().has_value());
}

TEST_F(ClientSessionTest, GoesThroughARound) {
  EXPECT_EQ(messages(session_->connected()), (std::vector<Message>{Hello{1, 1, "test", {}}}));
  EXPECT_EQ(hear(Welcome{1, "test", {}, 7, 0}), (std::vector<Message>{Join{"site", "tiny", 100}}));
  EXPECT_EQ(session_->heartbeat_seconds(), 7U);
  EXPECT_EQ(state(), State::kWaiting);

  EXPECT_EQ(hear(full_plan()), (std::vector<Message>{BlobRequest{info_of(kPool).sha256, 0}}));
  EXPECT_EQ(state(), State::kFetching);
  EXPECT_EQ(hear_blob(kPool),
            (std::vector<Message>{BlobProgress{info_of(kPool).sha256, kPool.size()},
                                  BlobRequest{info_of(kStudent).sha256, 0}}));
  EXPECT_EQ(hear_blob(kStudent),
            (std::vector<Message>{BlobProgress{info_of(kStudent).sha256, kStudent.size()}}));
  EXPECT_EQ(state(), State::kTraining);
  EXPECT_EQ(session_->plan(), full_plan());
  EXPECT_TRUE(store_->blobs().has(info_of(kPool).sha256));

  EXPECT_EQ(finish(), std::vector{offer_});
  EXPECT_FALSE(session_->next_chunk());
  EXPECT_TRUE(hear(BlobRequest{update_, 100}).empty());
  std::vector<std::byte> sent;
  while (const auto chunk = session_->next_chunk(300)) {
    EXPECT_EQ(chunk->message, Message(BlobChunk{update_, 100 + sent.size()}));
    sent.insert(sent.end(), chunk->body.begin(), chunk->body.end());
  }
  EXPECT_TRUE(std::ranges::equal(sent, std::span(kUpdate).subspan(100)));
  EXPECT_TRUE(hear(BlobProgress{update_, 400}).empty());
  EXPECT_EQ(hear(BlobProgress{update_, kUpdate.size()}), std::vector{claim_});
  EXPECT_TRUE(hear(accept(update_)).empty());
  EXPECT_EQ(state(), State::kUploaded);

  EXPECT_EQ(hear(bundle_of(kRound, kBundle)),
            (std::vector<Message>{BlobRequest{info_of(kBundle).sha256, 0}}));
  EXPECT_EQ(hear_blob(kBundle),
            (std::vector<Message>{BlobProgress{info_of(kBundle).sha256, kBundle.size()},
                                  accept(info_of(kBundle).sha256)}));
  EXPECT_EQ(state(), State::kDone);
  EXPECT_EQ(store_->bundles(), (std::vector<Delivery>{{kRound, info_of(kBundle)}}));
}

TEST_F(ClientSessionTest, GoesOnWithTheNextRound) {
  bring_to(State::kUploaded);
  hear(bundle_of(kRound, kBundle, false));
  EXPECT_TRUE(hear(plain_plan(kRound + 1)).empty());
  EXPECT_EQ(state(), State::kTraining);  // the bundle arrives meanwhile
  hear_blob(kBundle);
  EXPECT_EQ(state(), State::kTraining);
  EXPECT_EQ(store_->bundles().size(), 1U);
  finish();
  hear(accept(update_));
  hear(bundle_of(kRound + 1, kStudent, false));
  hear_blob(kStudent);
  hear(plain_plan(kRound + 2));
  hear(bundle_of(kRound + 2, kPool));
  hear_blob(kPool);
  EXPECT_EQ(state(), State::kDone);
  EXPECT_EQ(store_->bundles(),
            (std::vector<Delivery>{{kRound + 1, info_of(kStudent)}, {kRound + 2, info_of(kPool)}}));
}

TEST_F(ClientSessionTest, WhatIsThereIsNotFetchedOrSentAgain) {
  store_->blobs().add(kPool);
  store_->blobs().add(kStudent);
  greet();
  EXPECT_TRUE(hear(full_plan()).empty());
  EXPECT_EQ(state(), State::kTraining);
  finish();
  EXPECT_EQ(hear(BlobRequest{update_, kUpdate.size()}), std::vector{claim_});
  EXPECT_FALSE(session_->next_chunk());
}

TEST_F(ClientSessionTest, AMadeUpdateIsNotMadeAgainAfterARestart) {
  bring_to(State::kUploading);
  begin();
  greet();
  EXPECT_EQ(hear(plain_plan()), std::vector{offer_});
  EXPECT_EQ(state(), State::kUploading);
  begin();
  greet();
  EXPECT_TRUE(hear(plain_plan(kRound + 1)).empty());
  EXPECT_EQ(state(), State::kTraining);
  begin();
  greet();
  RoundPlan other_job = plain_plan();
  other_job.job = std::string(64, 'b');
  hear(other_job);
  EXPECT_EQ(state(), State::kTraining);
}

TEST_F(ClientSessionTest, AConnectionMayEndInAnyState) {
  for (const State at : kAll) {
    if (at == State::kDone || at == State::kRefused) continue;
    bring_to(at);
    session_->disconnected();
    EXPECT_THROW(hear(plain_plan()), DecodeError);
    EXPECT_FALSE(session_->next_chunk());
    greet();
    EXPECT_EQ(state(), at);
    hear(at == State::kFetching ? full_plan() : plain_plan());
    const State then = at == State::kWaiting    ? State::kTraining
                       : at == State::kUploaded ? State::kUploading  // and is told: accepted
                                                : at;
    EXPECT_EQ(state(), then);
  }
}

TEST_F(ClientSessionTest, AFetchGoesOnWhereItWasCut) {
  const std::string sha256 = info_of(kPool).sha256;
  for (const bool restarted : {false, true}) {
    if (restarted) begin();
    greet();
    hear(full_plan());
    const std::size_t at = restarted ? 300 : 0;
    hear(BlobChunk{sha256, at},
         {kPool.begin() + static_cast<int>(at), kPool.begin() + static_cast<int>(at) + 300});
    session_->disconnected();
    greet();
    EXPECT_EQ(hear(full_plan()), (std::vector<Message>{BlobRequest{sha256, at + 300}}));
  }
  hear(BlobChunk{sha256, 600}, {kPool.begin() + 600, kPool.end()});
  EXPECT_TRUE(store_->blobs().has(sha256));
}

TEST_F(ClientSessionTest, WorkThatEndsWithoutAConnectionIsHandedInLater) {
  bring_to(State::kTraining);
  session_->disconnected();
  EXPECT_TRUE(finish().empty());
  greet();
  EXPECT_EQ(hear(plain_plan()), std::vector{offer_});
}

TEST_F(ClientSessionTest, ANewPlanEndsWhatWasGoingOn) {
  for (const State at : {State::kFetching, State::kTraining, State::kUploading, State::kUploaded}) {
    bring_to(at);
    EXPECT_TRUE(hear(plain_plan(kRound + 1)).empty());
    EXPECT_EQ(state(), State::kTraining);
    EXPECT_TRUE(hear(BlobRequest{update_, 0}).empty());  // about the past
    EXPECT_FALSE(session_->next_chunk());
  }
}

TEST_F(ClientSessionTest, AnOfferWhileWaitingBringsTheLastBundle) {
  greet();
  EXPECT_TRUE(hear(accept("")).empty());  // wait
  EXPECT_EQ(state(), State::kWaiting);
  hear(bundle_of(1, kBundle, false));
  hear_blob(kBundle);
  EXPECT_EQ(state(), State::kWaiting);
  session_->disconnected();
  greet();
  EXPECT_EQ(hear(bundle_of(1, kBundle, false)),  // it has that
            (std::vector<Message>{Acknowledgement{1, info_of(kBundle).sha256, true, ""}}));
  hear(bundle_of(3, kPool));
  hear_blob(kPool);
  EXPECT_EQ(state(), State::kDone);
}

TEST_F(ClientSessionTest, ARefusalSaysWhatItMeans) {
  greet();
  hear(refuse(""));
  EXPECT_EQ(state(), State::kRefused);
  EXPECT_EQ(session_->refusal(), "because");
  bring_to(State::kUploading);
  hear(refuse(std::string(64, 'c')));  // about something else
  EXPECT_EQ(state(), State::kUploading);
  hear(refuse(update_, Refusal::kTooLate));
  EXPECT_EQ(state(), State::kUploaded);
  bring_to(State::kUploading);
  hear(refuse(update_));
  EXPECT_EQ(state(), State::kRefused);
  bring_to(State::kFetching);
  hear(refuse(info_of(kPool).sha256));
  EXPECT_EQ(state(), State::kRefused);
  bring_to(State::kTraining);
  hear(refuse(""));  // excluded meanwhile
  EXPECT_EQ(state(), State::kRefused);
}

TEST_F(ClientSessionTest, ABlobThatIsTooLargeForThisSiteIsAReasonToEnd) {
  store_.emplace(folder_.path() / "small", BlobLimits{kPool.size() - 1, 1 << 20});
  session_.emplace(ClientIdentity{"site", "tiny", 100}, *store_);
  greet();
  EXPECT_TRUE(hear(full_plan()).empty());
  EXPECT_EQ(state(), State::kRefused);
  EXPECT_NE(session_->refusal().find("at most"), std::string::npos) << session_->refusal();
}

TEST_F(ClientSessionTest, ABundleThatIsGoneIsNotWaitedFor) {
  bring_to(State::kUploaded);
  hear(bundle_of(kRound, kBundle, false));
  hear(refuse(info_of(kBundle).sha256));
  EXPECT_EQ(state(), State::kUploaded);
  EXPECT_EQ(hear(bundle_of(kRound + 1, kPool)),
            (std::vector<Message>{BlobRequest{info_of(kPool).sha256, 0}}));
}

TEST_F(ClientSessionTest, TriesAgainWhereTheCoordinatorHadTrouble) {
  const auto retry = [&] { return messages(session_->retry()); };
  const auto hello = messages(session_->connected());
  hear(refuse("", Refusal::kTryLater));
  EXPECT_FALSE(session_->is_greeted());
  EXPECT_EQ(retry(), hello);
  greet();
  EXPECT_TRUE(session_->is_greeted());
  EXPECT_TRUE(retry().empty());
  hear(refuse("", Refusal::kTryLater));
  EXPECT_TRUE(session_->wants_retry());
  EXPECT_EQ(retry(), (std::vector<Message>{Join{"site", "tiny", 100}}));
  EXPECT_FALSE(session_->wants_retry());
  hear(full_plan());
  hear(refuse(info_of(kPool).sha256, Refusal::kTryLater));
  EXPECT_EQ(retry(), (std::vector<Message>{BlobRequest{info_of(kPool).sha256, 0}}));
  bring_to(State::kUploading);
  hear(BlobRequest{update_, 0});
  hear(refuse(update_, Refusal::kTryLater));
  EXPECT_FALSE(session_->next_chunk());
  EXPECT_EQ(retry(), std::vector{offer_});
}

// A coordinator tells its news only to who has joined on that connection.
TEST_F(ClientSessionTest, AJoinThatCouldNotBeRecordedIsSaidAgainInEveryState) {
  for (const State at : {State::kFetching, State::kTraining, State::kUploading, State::kUploaded}) {
    SCOPED_TRACE(static_cast<int>(at));
    bring_to(at);
    session_->disconnected();
    greet();
    for (int i = 0; i < 2; ++i) {
      hear(refuse("", Refusal::kTryLater));
      if (i == 1 && at == State::kTraining) finish();  // offered, and no answer to the Join
      EXPECT_EQ(messages(session_->retry()), (std::vector<Message>{Join{"site", "tiny", 100}}));
    }
    const State before = state();
    hear(session_->plan());
    EXPECT_EQ(state(), before == State::kUploaded ? State::kUploading : before);
    if (before == State::kFetching) continue;
    hear(refuse(update_, Refusal::kTryLater));
    EXPECT_EQ(messages(session_->retry()), std::vector{offer_});
  }
  bring_to(State::kUploaded);
  session_->disconnected();
  greet();
  hear(refuse("", Refusal::kTryLater));
  session_->retry();
  hear(accept(""));  // the next round has not begun
  hear(refuse(info_of(kPool).sha256, Refusal::kTryLater));
  EXPECT_TRUE(session_->retry().empty());
}

TEST_F(ClientSessionTest, ABlobThatDoesNotMatchEndsTheConnection) {
  bring_to(State::kUploaded);
  hear(bundle_of(kRound, kBundle));
  auto damaged = kBundle;
  damaged[10] ^= std::byte{1};
  const std::string sha256 = info_of(kBundle).sha256;
  EXPECT_THROW(hear(BlobChunk{sha256, 0}, damaged), DecodeError);
  EXPECT_TRUE(store_->bundles().empty());
  session_->disconnected();
  greet();
  hear(plain_plan());
  EXPECT_EQ(hear(bundle_of(kRound, kBundle)), (std::vector<Message>{BlobRequest{sha256, 0}}));
  EXPECT_THROW(hear(BlobChunk{sha256, 5}, kBundle), DecodeError);
  EXPECT_TRUE(hear_blob(kPool).empty());  // nobody asked for this
  hear_blob(kBundle);
  EXPECT_EQ(state(), State::kDone);
}

TEST_F(ClientSessionTest, PredictionsAreClaimedAsSuch) {
  begin(Participation::kPredictions);
  EXPECT_EQ(greet(),
            (std::vector<Message>{Join{"site", "tiny", 100, Participation::kPredictions}}));
  hear(plain_plan());
  EXPECT_EQ(finish(), (std::vector<Message>{BlobOffer{update_, kUpdate.size(), "predictions"}}));
  EXPECT_EQ(hear(BlobRequest{update_, kUpdate.size()}),
            (std::vector<Message>{Predictions{kRound, "site", update_, 100}}));
}

// Frames that have no place on this side, or not yet.
TEST_F(ClientSessionTest, MisplacedFramesAreRefusedAndChangeNothing) {
  session_->connected();
  EXPECT_THROW(hear(plain_plan()), DecodeError);
  EXPECT_THROW(hear(Welcome{2, "", {}, 7, 0}), DecodeError);
  for (const State at : kAll) {
    bring_to(at);
    const std::vector<Message> misplaced{Join{"a", "b", 1},      claim_,        Hello{}, Welcome{},
                                         StatusRequest{"x", ""}, StatusReply{}, offer_};
    for (const Message& message : misplaced) {
      EXPECT_THROW(hear(message), DecodeError) << name(kind_of(message));
    }
    EXPECT_EQ(state(), at);
    EXPECT_TRUE(hear(Heartbeat{}).empty());
    EXPECT_TRUE(hear(Leave{}).empty());
  }
  bring_to(State::kUploading);
  EXPECT_THROW(hear(BlobRequest{update_, kUpdate.size() + 1}), DecodeError);
}

TEST_F(ClientSessionTest, TheCallersMistakes) {
  EXPECT_THROW(ClientSession({"../site", "tiny", 1}, *store_), std::invalid_argument);
  EXPECT_THROW(ClientSession({"site", "tiny", -1}, *store_), std::invalid_argument);
  for (const State at : kAll) {
    bring_to(at);
    if (at == State::kTraining) continue;
    EXPECT_THROW(finish(), std::logic_error);
  }
  bring_to(State::kTraining);
  EXPECT_THROW(session_->finished(folder_.path() / "missing"), std::system_error);
  EXPECT_EQ(state(), State::kTraining);
}

}  // namespace
}  // namespace fedstill
