// Both sides of the protocol over real channels, without any training.
#include <gtest/gtest.h>

#include <thread>

#include "client/client_session.h"
#include "coordinator/coordinator.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "tests/coordinator/fixture.h"
#include "tests/support/tiny_update.h"
#include "transport/channel.h"

namespace fedstill {
namespace {

using State = ClientSession::State;
constexpr std::chrono::seconds kLong{60};

CoordinatorOptions options_for(int clients) {
  CoordinatorOptions options;
  options.round.expected_clients = clients;
  options.round.min_clients = clients;
  options.plan = {std::string(64, 'a'), 1, std::string(64, 'b'), 3};
  options.image = {1, 4, 4};
  options.classes = 3;
  return options;
}

// One site: says what the session says, "trains" when told to, until it is done or refused.
void run_site(Channel& channel, ClientSession& session, const Graph& graph,
              std::int64_t sample_count) {
  channel.send(session.start());
  while (session.state() != State::kDone && session.state() != State::kRefused) {
    const auto frame = channel.receive(kLong);
    ASSERT_TRUE(frame);
    for (const Frame& answer : session.receive(*frame)) channel.send(answer);
    if (session.state() == State::kTraining) channel.send(session.finished({graph, sample_count}));
  }
}

struct Site {
  std::unique_ptr<Channel> here, there;
  ClientSession session;
  Graph graph;
  std::thread thread;
};

Site start_site(const std::string& name, std::uint64_t seed, std::int64_t classes = 3) {
  auto [here, there] = make_in_process_channel();
  return {std::move(here),
          std::move(there),
          ClientSession(name, "tiny", 100),
          tiny_update(seed, classes),
          {}};
}

// Hands every site's frames to the coordinator until the round is over, then the bundle to all.
void serve(Coordinator& coordinator, std::vector<Site>& sites,
           const std::vector<std::byte>& bundle) {
  const auto collecting = [&] { return coordinator.round().state() == Round::State::kCollecting; };
  while (collecting()) {
    for (Site& site : sites) {
      const auto frame = site.here->receive(std::chrono::milliseconds{1});
      if (!frame) continue;
      for (const Frame& answer : coordinator.receive(*frame, Instant{0})) site.here->send(answer);
    }
  }
  for (Site& site : sites) {
    site.here->send(
        {Bundle{coordinator.round().number(), sha256_hex(bundle), bundle.size()}, bundle});
  }
}

TEST(WholeRound, ThreeClientsTrainUploadAndReceiveTheBundle) {
  const TemporaryFolder folder;
  Store store(folder.path());
  Coordinator coordinator(options_for(3), store, Instant{0});
  const auto bundle = numbered_bytes(9, 100'000);
  std::vector<Site> sites;
  for (std::uint64_t i = 0; i < 3; ++i) sites.push_back(start_site("site-" + std::to_string(i), i));
  for (Site& site : sites) {
    site.thread = std::thread([&] { run_site(*site.there, site.session, site.graph, 100); });
  }
  serve(coordinator, sites, bundle);
  for (Site& site : sites) {
    site.thread.join();
    EXPECT_EQ(site.session.state(), State::kDone);
    EXPECT_EQ(site.session.bundle(), bundle);
    EXPECT_EQ(site.session.plan(), options_for(3).plan);
    EXPECT_EQ(site.here->receive(kLong)->message,
              Message(Acknowledgement{1, sha256_hex(bundle), true, ""}));
  }
  const auto teachers = coordinator.teachers();
  ASSERT_EQ(teachers.size(), 3U);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(read_model(teachers[i].model), tiny_update(i));
}

TEST(WholeRound, AClientWithTheWrongClassesLearnsWhy) {
  const TemporaryFolder folder;
  Store store(folder.path());
  Coordinator coordinator(options_for(1), store, Instant{0});
  Site site = start_site("site", 1, 5);
  for (Frame frame = site.session.start();;) {
    for (const Frame& answer : coordinator.receive(frame, Instant{0})) {
      EXPECT_TRUE(site.session.receive(answer).empty());
    }
    if (site.session.state() != State::kTraining) break;
    frame = site.session.finished({site.graph, 100});
  }
  EXPECT_EQ(site.session.state(), State::kRefused);
  EXPECT_EQ(site.session.refusal(), "[update] logits: found [5], expected [3]");
  EXPECT_EQ(coordinator.round().state(), Round::State::kCollecting);
}

}  // namespace
}  // namespace fedstill
