#include "client/client_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/sha256.h"
#include "tests/support/tiny_update.h"

namespace fedstill {
namespace {

using State = ClientSession::State;
constexpr std::uint32_t kRound = 4;

RoundPlan some_plan() { return {std::string(64, 'a'), kRound, std::string(64, 'b'), 3}; }
Acknowledgement accept(const std::string& sha256) { return {kRound, sha256, true, ""}; }
Acknowledgement refuse(const std::string& why) { return {0, "", false, why}; }
std::string hash_of_update() { return model_hash(tiny_update(1)); }
std::vector<std::byte> some_bundle() { return std::vector<std::byte>(1000, std::byte{7}); }
Frame bundle_frame(std::uint32_t round = kRound) {
  return {Bundle{round, sha256_hex(some_bundle()), some_bundle().size()}, some_bundle()};
}

// A session brought to a state.
ClientSession session_in(State state) {
  ClientSession session("site", "tiny", 100);
  if (state == State::kJoining) return session;
  session.start();
  if (state == State::kWaitingForPlan) return session;
  if (state == State::kRefused) {
    session.receive({refuse("no"), {}});
    return session;
  }
  session.receive({some_plan(), {}});
  if (state == State::kTraining) return session;
  session.finished({tiny_update(1), 100});
  if (state == State::kUploading) return session;
  session.receive({accept(hash_of_update()), {}});
  if (state == State::kWaitingForBundle) return session;
  session.receive(bundle_frame());
  return session;
}

constexpr State kAll[] = {State::kJoining,   State::kWaitingForPlan,   State::kTraining,
                          State::kUploading, State::kWaitingForBundle, State::kDone,
                          State::kRefused};

TEST(ClientSession, GoesThroughAllStates) {
  ClientSession session("site", "tiny", 100);
  EXPECT_EQ(session.state(), State::kJoining);
  EXPECT_EQ(session.start().message, Message(Join{"site", "tiny", 100}));
  EXPECT_EQ(session.state(), State::kWaitingForPlan);
  EXPECT_TRUE(session.receive({some_plan(), {}}).empty());
  EXPECT_EQ(session.state(), State::kTraining);
  EXPECT_EQ(session.plan(), some_plan());
  const Frame upload = session.finished({tiny_update(1), 100});
  EXPECT_EQ(upload.message, Message(Upload{kRound, "site", hash_of_update(), 100}));
  EXPECT_EQ(decode_model(upload.body), tiny_update(1));
  EXPECT_EQ(session.state(), State::kUploading);
  EXPECT_TRUE(session.receive({accept(hash_of_update()), {}}).empty());
  EXPECT_EQ(session.state(), State::kWaitingForBundle);
  EXPECT_TRUE(session.bundle().empty());
  const auto answers = session.receive(bundle_frame());
  EXPECT_EQ(session.state(), State::kDone);
  EXPECT_EQ(session.bundle(), some_bundle());
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].message, Message(accept(sha256_hex(some_bundle()))));
}

TEST(ClientSession, ARefusalEndsItWithTheReason) {
  for (const State state : {State::kWaitingForPlan, State::kUploading}) {
    ClientSession session = session_in(state);
    EXPECT_TRUE(session.receive({refuse("the round is over"), {}}).empty());
    EXPECT_EQ(session.state(), State::kRefused);
    EXPECT_EQ(session.refusal(), "the round is over");
  }
}

// Every frame in every state: accepted exactly where the protocol has it, refused with nothing
// changed everywhere else.
TEST(ClientSession, EveryFrameInEveryState) {
  const std::vector<std::pair<Frame, std::vector<State>>> frames{
      {{some_plan(), {}}, {State::kWaitingForPlan}},
      {{accept(hash_of_update()), {}}, {State::kUploading}},
      {{refuse("no"), {}}, {State::kWaitingForPlan, State::kUploading}},
      {bundle_frame(), {State::kWaitingForBundle}},
      {{Join{"a", "b", 1}, {}}, {}},
      {{Upload{kRound, "a", std::string(64, 'a'), 1}, {}}, {}}};
  for (const auto& [frame, welcome] : frames) {
    for (const State state : kAll) {
      ClientSession session = session_in(state);
      ASSERT_EQ(session.state(), state);
      if (std::find(welcome.begin(), welcome.end(), state) != welcome.end()) {
        EXPECT_NO_THROW(session.receive(frame));
        EXPECT_NE(session.state(), state);
      } else {
        EXPECT_THROW(session.receive(frame), DecodeError) << static_cast<int>(state);
        EXPECT_EQ(session.state(), state);
      }
    }
  }
}

TEST(ClientSession, ABundleThatDoesNotMatchIsRefused) {
  ClientSession session = session_in(State::kWaitingForBundle);
  Frame damaged = bundle_frame();
  damaged.body[10] ^= std::byte{1};
  EXPECT_THROW(session.receive(damaged), DecodeError);
  EXPECT_THROW(session.receive(bundle_frame(kRound + 1)), DecodeError);
  EXPECT_THROW(session.receive({Bundle{kRound, std::string(64, 'a'), 1}, {}}), DecodeError);
  EXPECT_EQ(session.state(), State::kWaitingForBundle);
  EXPECT_TRUE(session.bundle().empty());
  session.receive(bundle_frame());
  EXPECT_EQ(session.state(), State::kDone);
}

TEST(ClientSession, AnAcknowledgementOfSomethingElseIsRefused) {
  ClientSession session = session_in(State::kUploading);
  EXPECT_THROW(session.receive({accept(std::string(64, 'a')), {}}), DecodeError);
  EXPECT_THROW(session.receive({accept(""), {}}), DecodeError);
  EXPECT_THROW(session.receive({Acknowledgement{9, hash_of_update(), true, ""}, {}}), DecodeError);
  EXPECT_EQ(session.state(), State::kUploading);
}

TEST(ClientSession, TheCallersMistakes) {
  EXPECT_THROW(ClientSession("../site", "tiny", 1), std::invalid_argument);
  EXPECT_THROW(ClientSession("site", "tiny", -1), std::invalid_argument);
  for (const State state : kAll) {
    ClientSession session = session_in(state);
    if (state != State::kJoining) {
      EXPECT_THROW(session.start(), std::logic_error);
    }
    if (state != State::kTraining) {
      EXPECT_THROW(session.finished({tiny_update(1), 100}), std::logic_error);
    }
  }
  ClientSession session = session_in(State::kTraining);
  EXPECT_THROW(session.finished({tiny_update(1), 99}), std::invalid_argument);
  EXPECT_EQ(session.state(), State::kTraining);
}

}  // namespace
}  // namespace fedstill
