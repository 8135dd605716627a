#include "coordinator/round.h"

#include <gtest/gtest.h>

#include <algorithm>
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
  options.silent_after = std::chrono::milliseconds{200};
  options.stalled_after = std::chrono::milliseconds{500};
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
  void beat(const std::string& client, std::uint64_t done) {
    round.heartbeat(client, "training", done, 100, now);
  }
  Member member(const std::string& client) const { return round.member(client, now); }
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
  script.now += Instant{499};
  script.beat("c", 1);
  script.now += Instant{499};
  script.beat("c", 2);
  script.advance_to(kBefore);
  EXPECT_EQ(script.round.state(), State::kCollecting);
  script.advance_to(kDeadline);
  EXPECT_EQ(script.round.state(), State::kClosed);
  EXPECT_EQ(script.member("c"), Member::kTraining);
}

TEST(Round, FailsAtTheDeadlineWithTooFew) {
  Scripted script;
  script.join_and_upload("a");
  script.join("b");
  script.advance_to(kDeadline);
  EXPECT_EQ(script.round.state(), State::kFailed);
  EXPECT_EQ(script.round.failure(),
            "[round] 1 uploads past the deadline and nobody gets on, expected 2 or more");
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
  EXPECT_EQ(script.member("a"), Member::kJoined);
}

TEST(Round, JoinIsIdempotentAndAClientMayComeBack) {
  Scripted script;
  EXPECT_EQ(script.join("a"), Decision::kAccept);
  EXPECT_EQ(script.join("a"), Decision::kDuplicate);
  script.leave("a");
  EXPECT_EQ(script.member("a"), Member::kGone);
  EXPECT_EQ(script.join("a"), Decision::kAccept);
  EXPECT_EQ(script.member("a"), Member::kJoined);
  script.upload("a");
  script.leave("a");
  EXPECT_EQ(script.join("a"), Decision::kAccept);
  EXPECT_EQ(script.member("a"), Member::kUploaded);
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
    EXPECT_EQ(script.member("a"), Member::kUploaded);
    EXPECT_FALSE(upload_first && script.round.members().at("a").here);
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

TEST(Round, ProgressKeepsARoundFromFailingAndTimeAloneDoesNot) {
  Scripted script;
  script.join_and_upload("a");
  script.join("b");
  for (int i = 1; i <= 100; ++i) {  // ten times the deadline
    script.advance_to(script.now + Instant{100});
    script.beat("b", static_cast<std::uint64_t>(i));
    ASSERT_EQ(script.round.state(), State::kCollecting);
  }
  EXPECT_EQ(script.upload("b"), Decision::kAccept);
  script.advance_to(script.now);
  EXPECT_EQ(script.round.state(), State::kClosed);  // past the deadline, with enough
}

TEST(Round, HeartbeatsWithoutProgressDoNot) {
  Scripted script;
  script.join("b");
  script.advance_to(kBefore);
  script.beat("b", 7);
  for (int i = 0; i < 6; ++i) {
    script.advance_to(script.now + Instant{100});
    script.beat("b", 7);
  }
  EXPECT_EQ(script.round.state(), State::kFailed);
  EXPECT_EQ(script.member("b"), Member::kStalled);
}

TEST(Round, AMemberThatOnlyComesAndGoesDoesNot) {
  Scripted script;
  script.join("b");
  for (int i = 0; i < 20; ++i) {
    script.advance_to(script.now + Instant{100});
    script.leave("b");
    script.join("b");
  }
  EXPECT_EQ(script.round.state(), State::kFailed);
}

TEST(Round, DeadMembersAreNotWaitedForWhenEnoughUploadedAndAllCame) {
  Scripted script;
  script.join_and_upload("a");
  script.join_and_upload("b");
  script.advance_to(kOpened + Instant{600});
  EXPECT_EQ(script.round.state(), State::kCollecting);  // one more is expected to come
  script.join("c");
  script.advance_to(kOpened + Instant{900});
  EXPECT_EQ(script.round.state(), State::kCollecting);
  script.beat("c", 1);
  script.advance_to(kBefore);
  EXPECT_EQ(script.round.state(), State::kCollecting);

  Scripted quick{Round(
      7,
      [] {
        RoundOptions options = two_to_three();
        options.deadline = std::chrono::hours{1};
        return options;
      }(),
      kOpened)};
  quick.join_and_upload("a");
  quick.join_and_upload("b");
  quick.join("c");
  quick.advance_to(kOpened + Instant{499});
  EXPECT_EQ(quick.round.state(), State::kCollecting);
  quick.advance_to(kOpened + Instant{500});
  EXPECT_EQ(quick.round.state(), State::kClosed);
}

TEST(Round, AMembersStateSaysWhatIsKnown) {
  Scripted script;
  script.join("a");
  EXPECT_EQ(script.member("a"), Member::kJoined);
  script.beat("a", 1);
  EXPECT_EQ(script.member("a"), Member::kTraining);
  script.now += Instant{200};
  EXPECT_EQ(script.member("a"), Member::kSilent);
  script.beat("a", 1);
  EXPECT_EQ(script.member("a"), Member::kTraining);
  script.now += Instant{300};
  script.round.see("a", script.now);
  EXPECT_EQ(script.member("a"), Member::kStalled);
  script.round.receive_bytes("a", 10, script.now);
  EXPECT_EQ(script.member("a"), Member::kUploading);
  script.round.refuse("a", script.now);
  EXPECT_EQ(script.member("a"), Member::kRefused);
  script.leave("a");
  EXPECT_EQ(script.member("a"), Member::kGone);
  script.join("a");
  script.upload("a");
  EXPECT_EQ(script.member("a"), Member::kUploaded);
  script.round.exclude("a", script.now);
  EXPECT_EQ(script.member("a"), Member::kExcluded);
  EXPECT_EQ(name(script.member("a")), "excluded");
}

TEST(Round, AClockThatGoesBackStandsStill) {
  Scripted script;
  script.join_and_upload("a");
  script.join_and_upload("b");
  script.round.tick(kBefore);
  script.round.tick(Instant{0});
  script.now = Instant{0};
  script.join("c");
  EXPECT_EQ(script.round.state(), State::kCollecting);
  EXPECT_EQ(script.member("c"), Member::kJoined);
  script.advance_to(kDeadline);
  EXPECT_EQ(script.round.state(), State::kClosed);
}

TEST(Round, ExcludingTakesTheUploadAwayWhileTheRoundCollects) {
  for (const bool exclude_first : {true, false}) {
    Scripted script;
    script.join_and_upload("a");
    script.join_and_upload("b");
    script.join("c");
    if (exclude_first) script.round.exclude("a", script.now);
    script.upload("c");
    if (!exclude_first) script.round.exclude("a", script.now);
    EXPECT_EQ(script.round.uploads().contains("a"), !exclude_first);
    EXPECT_EQ(script.round.state(), exclude_first ? State::kCollecting : State::kClosed);
    EXPECT_EQ(script.join("a"), Decision::kRefuseExcluded);
    EXPECT_EQ(script.upload("a"), Decision::kRefuseExcluded);
    script.round.readmit("a", script.now);
    EXPECT_EQ(script.join("a"), Decision::kAccept);
    EXPECT_EQ(script.upload("a"), exclude_first ? Decision::kAccept : Decision::kDuplicate);
    EXPECT_EQ(script.round.state(), State::kClosed);
  }
}

TEST(Round, TheNextRoundHasTheMembersAndNoUploads) {
  Scripted script;
  for (const char* client : {"a", "b", "c"}) script.join_and_upload(client);
  script.leave("b");
  script.round.exclude("c", script.now);
  const Round next = script.round.next(kDeadline);
  EXPECT_EQ(next.number(), 8U);
  EXPECT_EQ(next.state(), State::kCollecting);
  EXPECT_TRUE(next.uploads().empty());
  EXPECT_EQ(next.deadline(), kDeadline + std::chrono::seconds{1});
  EXPECT_EQ(next.member("b", kDeadline), Member::kGone);
  EXPECT_EQ(next.member("c", kDeadline), Member::kExcluded);
  EXPECT_NE(next.member("a", kDeadline), Member::kUploaded);
}

TEST(Round, AFailedRoundMayBeReopened) {
  Scripted script;
  script.join_and_upload("a");
  EXPECT_THROW(script.round.reopen(script.now), std::logic_error);
  script.join("b");
  script.advance_to(kDeadline);
  script.round.reopen(script.now);
  EXPECT_EQ(script.round.state(), State::kCollecting);
  EXPECT_EQ(script.round.failure(), "");
  EXPECT_EQ(script.upload("b"), Decision::kAccept);
  script.advance_to(kDeadline + std::chrono::seconds{1});
  EXPECT_EQ(script.round.state(), State::kClosed);
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
  const auto add = [&](auto event) {
    events.push_back([=](Scripted& s) {
      event(s);
      return Decision::kAccept;
    });
  };
  add([](Scripted& s) {
    s.advance_to(s.now < kBefore ? kBefore : std::max(kDeadline, s.round.deadline()));
  });
  add([](Scripted& s) { s.beat("b", 1); });
  add([](Scripted& s) { s.round.receive_bytes("b", 10, s.now); });
  add([](Scripted& s) { s.round.refuse("c", s.now); });
  add([](Scripted& s) { s.round.exclude("b", s.now); });
  add([](Scripted& s) { s.round.readmit("b", s.now); });
  add([](Scripted& s) { s.round.begin_again("a", s.now); });
  add([](Scripted& s) { s.round.see("a", s.now); });
  events.push_back([](Scripted& s) { return s.round.consider_upload("c", "x", s.now); });
  add([](Scripted& s) {
    if (s.round.state() == State::kFailed) s.round.reopen(s.now);
  });
  return events;
}

void expect_consistent(const Scripted& script) {
  const Round& round = script.round;
  const std::size_t uploads = round.uploads().size();
  if (round.state() == State::kFailed) {
    EXPECT_TRUE(uploads < 2 && script.now >= round.deadline());
  } else if (round.state() == State::kClosed) {
    EXPECT_GE(uploads, 2U);
  } else {
    EXPECT_LT(uploads, 3U);
    EXPECT_FALSE(uploads == 2 && script.now >= round.deadline());
  }
  EXPECT_EQ(round.failure().empty(), round.state() != State::kFailed);
  for (const auto& [client, facts] : round.members()) {
    const bool counts = round.uploads().contains(client);
    const Member member = round.member(client, script.now);
    EXPECT_EQ(member == Member::kUploaded, counts && !facts.excluded);
    EXPECT_EQ(member == Member::kExcluded, facts.excluded);
    EXPECT_TRUE(member != Member::kGone || !facts.here);
    EXPECT_FALSE(counts && facts.excluded && round.state() != State::kClosed);
  }
  for (const auto& [client, hash] : round.uploads()) {
    EXPECT_TRUE(round.members().contains(client));
  }
}

void expect_step(const Scripted& before, const Scripted& after) {
  if (before.round.state() == State::kClosed) {
    EXPECT_EQ(after.round.state(), State::kClosed);
    EXPECT_EQ(after.round.uploads(), before.round.uploads());
  }
  if (before.round.state() == State::kFailed) {
    EXPECT_EQ(after.round.state() == State::kCollecting,
              after.round.deadline() > before.round.deadline());  // reopened
    EXPECT_LE(after.round.uploads().size(), before.round.uploads().size());
  }
  for (const auto& [client, hash] : before.round.uploads()) {
    if (after.round.members().at(client).excluded) continue;
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

// Every sequence of four events from the start and of three from a round that is nearly full and
// from one that has failed: every pair of events is met in both orders.
TEST(Round, EverySequenceOfEventsStaysConsistent) {
  int visited = 0;
  walk(Scripted{}, all_events(), 4, visited);
  Scripted nearly;
  nearly.join_and_upload("a");
  nearly.join_and_upload("b");
  walk(nearly, all_events(), 3, visited);
  Scripted failed;
  failed.join("a");
  failed.join_and_upload("b");
  failed.advance_to(kDeadline);
  EXPECT_EQ(failed.round.state(), State::kFailed);
  walk(failed, all_events(), 3, visited);
  const int n = static_cast<int>(all_events().size());
  EXPECT_EQ(visited, 3 * (n + n * n + n * n * n) + n * n * n * n);
}

TEST(Round, AHundredThousandClients) {
  constexpr int kClients = 100'000;
  RoundOptions options;
  options.expected_clients = kClients;
  options.min_clients = kClients / 2;
  options.deadline = std::chrono::hours{1};
  Round round(1, options, kOpened);
  Instant now = kOpened;
  const std::string hash(64, 'a');
  for (int i = 0; i < kClients; ++i) {
    now += Instant{1};
    const std::string name = "site-" + std::to_string(i);
    EXPECT_EQ(round.join(name, now), Decision::kAccept);
    round.heartbeat(name, "training", 1, 2, now);
    if (i % 5 == 0) round.leave(name, now);
    if (i % 3 != 0) {
      EXPECT_EQ(round.upload(name, hash, now), Decision::kAccept);
    }
    if (i % 7 == 0) round.upload(name, std::string(64, 'b'), now);  // a lie
  }
  EXPECT_EQ(round.members().size(), 100'000U);
  EXPECT_GT(round.uploads().size(), 66'666U);
  EXPECT_EQ(round.state(), State::kCollecting);
  round.tick(kOpened + std::chrono::hours{1});
  EXPECT_EQ(round.state(), State::kClosed);
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
  options = two_to_three();
  options.stalled_after = std::chrono::milliseconds{0};
  EXPECT_THROW(Round(1, options, kOpened), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
