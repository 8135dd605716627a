#include "coordinator/round.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <vector>

namespace fedstill {
namespace {

using State = Round::State;
using Member = Round::Member;
using Decision = Round::Decision;

constexpr Instant kOpened{5'000};
constexpr Instant kBefore{5'999};
constexpr Instant kDeadline{6'000};

RoundOptions two_to_three() {
  RoundOptions options;
  options.expected_clients = 3;
  options.min_clients = 2;
  options.deadline = std::chrono::seconds{1};
  return options;
}

// A round whose clock stands still until it is moved.
struct Scripted {
  Round round{7, two_to_three(), kOpened};
  Instant now = kOpened;

  Decision join(const std::string& client) { return round.join(client, now); }
  Decision upload(const std::string& client, char hash = 'a') {
    return round.upload(client, std::string(64, hash), now);
  }
  void leave(const std::string& client) { round.leave(client, now); }
  void join_and_upload(const std::string& client) {
    EXPECT_EQ(join(client), Decision::kAccept);
    EXPECT_EQ(upload(client), Decision::kAccept);
  }
  void advance_to(Instant instant) {
    now = instant;
    round.tick(now);
  }
};

TEST(Round, ClosesWhenAllExpectedHaveUploaded) {
  Scripted script;
  script.join_and_upload("a");
  script.join_and_upload("b");
  EXPECT_EQ(script.round.state(), State::kCollecting);
  script.join_and_upload("c");
  EXPECT_EQ(script.round.state(), State::kClosed);
  EXPECT_EQ(script.round.uploads().size(), 3U);
}

TEST(Round, ClosesAtTheDeadlineWithoutStragglers) {
  Scripted script;
  script.join_and_upload("a");
  script.join_and_upload("b");
  script.join("c");
  script.advance_to(kBefore);
  EXPECT_EQ(script.round.state(), State::kCollecting);
  script.advance_to(kDeadline);
  EXPECT_EQ(script.round.state(), State::kClosed);
  EXPECT_EQ(script.round.members().at("c"), Member::kJoined);
}

TEST(Round, FailsAtTheDeadlineWithTooFew) {
  Scripted script;
  script.join_and_upload("a");
  script.join("b");
  script.advance_to(kDeadline);
  EXPECT_EQ(script.round.state(), State::kFailed);
  EXPECT_EQ(script.round.failure(), "[round] 1 uploads at the deadline, expected 2 or more");
  EXPECT_EQ(script.upload("b"), Decision::kRefuseClosed);
}

TEST(Round, TheDeadlineActsInEveryEvent) {
  const std::vector<std::function<void(Scripted&)>> events{
      [](Scripted& s) { s.join("z"); }, [](Scripted& s) { s.upload("a"); },
      [](Scripted& s) { s.upload("z"); }, [](Scripted& s) { s.leave("a"); },
      [](Scripted& s) { s.round.consider_upload("a", "", s.now); }};
  for (const auto& event : events) {
    Scripted script;
    script.join("a");
    script.now = kDeadline;
    event(script);
    EXPECT_EQ(script.round.state(), State::kFailed);
    EXPECT_TRUE(script.round.uploads().empty());
  }
}

TEST(Round, UploadWithoutJoinIsRefused) {
  Scripted script;
  EXPECT_EQ(script.upload("a"), Decision::kRefuseUnknown);
  EXPECT_TRUE(script.round.members().empty());
  EXPECT_TRUE(script.round.uploads().empty());
}

TEST(Round, TheSameUploadAgainIsADuplicateAndAnotherAConflict) {
  Scripted script;
  script.join_and_upload("a");
  EXPECT_EQ(script.upload("a"), Decision::kDuplicate);
  EXPECT_EQ(script.upload("a", 'b'), Decision::kRefuseConflict);
  EXPECT_EQ(script.round.uploads().at("a"), std::string(64, 'a'));
}

TEST(Round, ConsideringChangesNothing) {
  Scripted script;
  script.join("a");
  EXPECT_EQ(script.round.consider_upload("a", "x", script.now), Decision::kAccept);
  EXPECT_TRUE(script.round.uploads().empty());
  EXPECT_EQ(script.round.members().at("a"), Member::kJoined);
}

TEST(Round, JoinIsIdempotentAndAClientMayComeBack) {
  Scripted script;
  EXPECT_EQ(script.join("a"), Decision::kAccept);
  EXPECT_EQ(script.join("a"), Decision::kDuplicate);
  script.leave("a");
  EXPECT_EQ(script.round.members().at("a"), Member::kGone);
  EXPECT_EQ(script.join("a"), Decision::kAccept);
  EXPECT_EQ(script.round.members().at("a"), Member::kJoined);
  script.upload("a");
  script.leave("a");
  EXPECT_EQ(script.join("a"), Decision::kAccept);
  EXPECT_EQ(script.round.members().at("a"), Member::kUploaded);
}

TEST(Round, AClosedRoundRefusesNewClientsButKnowsItsOwn) {
  Scripted script;
  for (const char* client : {"a", "b", "c"}) script.join_and_upload(client);
  EXPECT_EQ(script.join("d"), Decision::kRefuseClosed);
  EXPECT_EQ(script.join("a"), Decision::kDuplicate);
  EXPECT_EQ(script.upload("a"), Decision::kDuplicate);
  EXPECT_FALSE(script.round.members().contains("d"));
}

TEST(Round, LeavingUnknownIsHarmless) {
  Scripted script;
  script.leave("nobody");
  EXPECT_TRUE(script.round.members().empty());
}

// Two events at one moment, told in both orders.
TEST(Round, UploadAgainstLeave) {
  for (const bool upload_first : {true, false}) {
    Scripted script;
    script.join("a");
    if (upload_first) script.upload("a");
    script.leave("a");
    if (!upload_first) {
      EXPECT_EQ(script.upload("a"), Decision::kAccept);  // its frame was on the way
    }
    EXPECT_EQ(script.round.uploads().size(), 1U);
    EXPECT_EQ(script.round.members().at("a"), upload_first ? Member::kGone : Member::kUploaded);
  }
}

TEST(Round, UploadAgainstDeadline) {
  for (const bool upload_first : {true, false}) {
    Scripted script;
    script.join_and_upload("a");
    script.join("b");
    script.now = kBefore;
    if (upload_first) script.upload("b");
    script.advance_to(kDeadline);
    if (!upload_first) {
      EXPECT_EQ(script.upload("b"), Decision::kRefuseClosed);
    }
    EXPECT_EQ(script.round.state(), upload_first ? State::kClosed : State::kFailed);
  }
}

TEST(Round, JoinAgainstTheLastUpload) {
  for (const bool join_first : {true, false}) {
    Scripted script;
    script.join_and_upload("a");
    script.join_and_upload("b");
    script.join("c");
    if (join_first) {
      EXPECT_EQ(script.join("d"), Decision::kAccept);
    }
    script.upload("c");
    if (join_first) {
      EXPECT_EQ(script.upload("d"), Decision::kRefuseClosed);
    } else {
      EXPECT_EQ(script.join("d"), Decision::kRefuseClosed);
    }
    EXPECT_EQ(script.round.state(), State::kClosed);
    EXPECT_EQ(script.round.uploads().size(), 3U);
  }
}

// Everything that may happen to three clients, for the exhaustive walk below.
using Event = std::function<Decision(Scripted&)>;
std::vector<Event> all_events() {
  std::vector<Event> events;
  for (const char* client : {"a", "b", "c"}) {
    events.push_back([=](Scripted& s) { return s.join(client); });
    events.push_back([=](Scripted& s) { return s.upload(client); });
  }
  events.push_back([](Scripted& s) { return s.upload("a", 'b'); });
  events.push_back([](Scripted& s) {
    s.leave("a");
    return Decision::kAccept;
  });
  events.push_back([](Scripted& s) {
    s.advance_to(s.now < kBefore ? kBefore : kDeadline);
    return Decision::kAccept;
  });
  return events;
}

void expect_consistent(const Scripted& script) {
  const Round& round = script.round;
  const std::size_t uploads = round.uploads().size();
  if (round.state() == State::kClosed) {
    EXPECT_TRUE(uploads == 3 || (uploads >= 2 && script.now >= kDeadline));
  } else if (round.state() == State::kFailed) {
    EXPECT_TRUE(uploads < 2 && script.now >= kDeadline);
  } else {
    EXPECT_TRUE(uploads < 3 && script.now < kDeadline);
  }
  EXPECT_EQ(round.failure().empty(), round.state() != State::kFailed);
  for (const auto& [client, member] : round.members()) {
    EXPECT_FALSE(member == Member::kUploaded && !round.uploads().contains(client));
    EXPECT_FALSE(member == Member::kJoined && round.uploads().contains(client));
  }
  for (const auto& [client, hash] : round.uploads()) {
    EXPECT_TRUE(round.members().contains(client));
  }
}

void expect_step(const Scripted& before, const Scripted& after) {
  if (before.round.state() != State::kCollecting) {
    EXPECT_EQ(after.round.state(), before.round.state());
    EXPECT_EQ(after.round.uploads(), before.round.uploads());
  }
  for (const auto& [client, hash] : before.round.uploads()) {
    EXPECT_EQ(after.round.uploads().at(client), hash);  // an upload stands
  }
}

void walk(const Scripted& script, const std::vector<Event>& events, int depth, int& visited) {
  if (depth == 0 || testing::Test::HasFailure()) return;
  for (const Event& event : events) {
    Scripted next = script;
    event(next);
    ++visited;
    expect_consistent(next);
    expect_step(script, next);
    walk(next, events, depth - 1, visited);
  }
}

// Every sequence of five events from every start reachable by the walk's own prefix: every pair of
// events is met in both orders.
TEST(Round, EverySequenceOfEventsStaysConsistent) {
  int visited = 0;
  walk(Scripted{}, all_events(), 5, visited);
  Scripted nearly;
  nearly.join_and_upload("a");
  nearly.join_and_upload("b");
  walk(nearly, all_events(), 4, visited);
  EXPECT_EQ(visited, 9 + 81 + 729 + 6561 + 59049 + 9 + 81 + 729 + 6561);
}

TEST(Round, ContradictoryOptionsAreRefused) {
  RoundOptions options = two_to_three();
  options.min_clients = 4;
  EXPECT_THROW(Round(1, options, kOpened), std::invalid_argument);
  options.min_clients = 0;
  EXPECT_THROW(Round(1, options, kOpened), std::invalid_argument);
  options = two_to_three();
  options.deadline = std::chrono::milliseconds{0};
  EXPECT_THROW(Round(1, options, kOpened), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
