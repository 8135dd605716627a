// Both sides of the protocol over real channels, without any training.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "client/participant.h"
#include "coordinator/reception.h"
#include "model/atomic_file.h"
#include "model/model_file.h"
#include "tests/coordinator/fixture.h"
#include "tests/coordinator/in_process_server.h"
#include "tests/support/tiny_update.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

std::vector<std::byte> pool_bytes() { return numbered_bytes(70, 200'000); }
std::vector<std::byte> bundle_bytes(std::uint32_t round) {
  return numbered_bytes(static_cast<int>(round), 150'000);
}
std::vector<std::byte> student_bytes(std::uint32_t round) {
  return numbered_bytes(static_cast<int>(round) + 30, 100'000);
}

void add_pool(Store& store) {
  static const BlobInfo pool{sha256_hex(pool_bytes()), pool_bytes().size()};
  if (!store.blobs().has(pool.sha256)) store.blobs().add(pool_bytes());
}

CoordinatorOptions options_for(int clients, std::uint32_t rounds) {
  CoordinatorOptions options;
  options.round.expected_clients = clients;
  options.round.min_clients = clients;
  options.plan = {std::string(64, 'a'), 1, sha256_hex(pool_bytes()), 3};
  options.plan.pool_bytes = pool_bytes().size();
  options.plan.rounds = rounds;
  options.image = {1, 4, 4};
  options.classes = 3;
  return options;
}

// Publishes what a round would end with, and remembers what counted.
struct Results {
  std::map<std::uint32_t, std::vector<std::string>> updates;  // by round: hashes by client
  std::mutex mutex;

  void operator()(Reception& reception, Coordinator& coordinator, Store& store) {
    add_pool(store);
    if (coordinator.finished() || coordinator.round().state() != Round::State::kClosed) return;
    const std::uint32_t round = coordinator.round().number();
    {
      const std::lock_guard guard(mutex);
      updates[round].clear();
      for (const auto& update : coordinator.updates()) updates[round].push_back(update.sha256);
    }
    reception.publish(store.blobs().add(bundle_bytes(round)),
                      store.blobs().add(student_bytes(round)), Instant{0});
  }
};

// A channel that breaks after some frames, whichever way they go.
class BreakingChannel : public Channel {
 public:
  BreakingChannel(std::unique_ptr<Channel> inner, int frames)
      : inner_(std::move(inner)), left_(frames) {}
  void send(const Frame& frame) override {
    count();
    inner_->send(frame);
  }
  std::optional<Frame> receive(std::chrono::milliseconds wait) override {
    auto frame = inner_->receive(wait);
    if (frame) count();
    return frame;
  }
  void close() override { inner_->close(); }

 private:
  void count() {
    if (left_-- > 0) return;
    inner_->close();
    throw ChannelClosed("[test] cut");
  }
  std::unique_ptr<Channel> inner_;
  int left_;
};

// One site: its folder, its number, how often it trained for each round.
struct Site {
  std::string name;
  fs::path folder;
  std::uint64_t number = 0;
  std::map<std::uint32_t, int> trained{};
  std::vector<std::uint32_t> bundles{};

  std::uint64_t seed(std::uint32_t round) const { return 10 * round + number; }

  SiteWork work() {
    SiteWork work;
    work.make_update = [this](const RoundPlan& plan, WorkProgress& progress,
                              const std::atomic<bool>&) {
      progress.report({"training", 1, 2});
      ++trained[plan.round];
      const fs::path file = folder / "update.safetensors";
      write_model(file, tiny_update(seed(plan.round)));
      return file;
    };
    work.on_bundle = [this](const Delivery& bundle, const fs::path& file) {
      EXPECT_EQ(read_file(file, 1 << 20), bundle_bytes(bundle.round));
      bundles.push_back(bundle.round);
    };
    return work;
  }

  Ending take_part(const std::function<std::unique_ptr<Channel>()>& connect,
                   const std::atomic<bool>& stop) {
    ClientStore store(folder / "state");
    ClientSession session({name, "tiny", 100}, store);
    ParticipantOptions options;
    options.first_wait = options.longest_wait = std::chrono::milliseconds{1};
    options.poll = std::chrono::milliseconds{1};
    options.chunk_bytes = 1000;
    return fedstill::take_part(session, connect, work(), stop, options);
  }
};

Site make_site(const TemporaryFolder& folder, std::uint64_t number) {
  const std::string name = "site-" + std::to_string(number);
  return {name, folder.path() / name, number};
}

const std::atomic<bool> kNever = false;

TEST(WholeRound, ThreeClientsGoThroughTwoRounds) {
  const TemporaryFolder folder;
  Results results;
  InProcessServer server(folder.path() / "coordinator", options_for(3, 2), std::ref(results));
  std::vector<Site> sites;
  for (std::uint64_t i = 0; i < 3; ++i) sites.push_back(make_site(folder, i));
  std::vector<std::thread> threads;
  for (Site& site : sites) {
    threads.emplace_back([&] {
      EXPECT_EQ(site.take_part([&] { return server.connect(site.name); }, kNever), Ending::kDone);
    });
  }
  for (std::thread& thread : threads) thread.join();
  server.kill();
  for (const Site& site : sites) {
    EXPECT_EQ(site.trained, (std::map<std::uint32_t, int>{{1, 1}, {2, 1}}));
    EXPECT_EQ(site.bundles, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_TRUE(fs::exists(site.folder / "state" / "blobs" / sha256_hex(pool_bytes())));
  }
  for (std::uint32_t round = 1; round <= 2; ++round) {
    ASSERT_EQ(results.updates[round].size(), 3U);
    for (const Site& site : sites) {
      EXPECT_EQ(results.updates[round][site.number], model_hash(tiny_update(site.seed(round))));
    }
  }
}

TEST(WholeRound, AClientWithTheWrongClassesLearnsWhy) {
  const TemporaryFolder folder;
  InProcessServer server(
      folder.path() / "coordinator", options_for(1, 1),
      [](Reception&, Coordinator&, Store& store) { store.blobs().add(pool_bytes()); });
  ClientStore store(folder.path() / "site");
  ClientSession session({"site", "tiny", 100}, store);
  SiteWork work;
  work.make_update = [&](const RoundPlan&, WorkProgress&, const std::atomic<bool>&) {
    write_model(folder.path() / "update", tiny_update(1, 5));
    return folder.path() / "update";
  };
  EXPECT_EQ(take_part(
                session, [&] { return server.connect("site"); }, work, kNever),
            Ending::kRefused);
  EXPECT_EQ(session.refusal(), "[update] logits: found [5], expected [3]");
}

// Every connection breaks after a few frames, more and more of them, so that each step of the
// conversation is cut in the middle somewhere.
TEST(WholeRound, SurvivesACutAfterAnyNumberOfFrames) {
  const TemporaryFolder folder;
  Results results;
  InProcessServer server(folder.path() / "coordinator", options_for(1, 2), std::ref(results));
  Site site = make_site(folder, 0);
  int frames = 0;
  const auto connect = [&] {
    return std::make_unique<BreakingChannel>(server.connect(site.name), frames++);
  };
  EXPECT_EQ(site.take_part(connect, kNever), Ending::kDone);
  EXPECT_GT(frames, 10);
  EXPECT_EQ(site.trained, (std::map<std::uint32_t, int>{{1, 1}, {2, 1}}));
  EXPECT_EQ(site.bundles, (std::vector<std::uint32_t>{1, 2}));
}

// The process ends at every cut, too: a new session over the same folder. Training is repeated only
// where it had not finished.
TEST(WholeRound, AClientKilledAfterAnyNumberOfFramesGoesOn) {
  const TemporaryFolder folder;
  Results results;
  InProcessServer server(folder.path() / "coordinator", options_for(1, 2), std::ref(results));
  Site site = make_site(folder, 0);
  int lives = 0;
  for (Ending ending = Ending::kStopped; ending != Ending::kDone; ++lives) {
    std::atomic<bool> stop = false;
    bool connected = false;
    const auto connect = [&]() -> std::unique_ptr<Channel> {
      if (std::exchange(connected, true)) {
        stop = true;
        throw ChannelClosed("[test] killed");
      }
      return std::make_unique<BreakingChannel>(server.connect(site.name), lives);
    };
    ending = site.take_part(connect, stop);
    ASSERT_LT(lives, 1000);
  }
  EXPECT_GT(lives, 10);
  EXPECT_EQ(results.updates[1], std::vector{model_hash(tiny_update(site.seed(1)))});
  EXPECT_EQ(results.updates[2], std::vector{model_hash(tiny_update(site.seed(2)))});
  // The newest is handed out once more in each life.
  site.bundles.erase(std::unique(site.bundles.begin(), site.bundles.end()), site.bundles.end());
  EXPECT_EQ(site.bundles, (std::vector<std::uint32_t>{1, 2}));
}

// The coordinator is killed and started again, over and over, at random instants.
TEST(WholeRound, SurvivesACoordinatorKilledAtRandomInstants) {
  constexpr unsigned kSeed = 5;
  std::mt19937 random(kSeed);
  const TemporaryFolder folder;
  Results results;
  InProcessServer server(folder.path() / "coordinator", options_for(3, 3), std::ref(results));
  std::vector<Site> sites;
  for (std::uint64_t i = 0; i < 3; ++i) sites.push_back(make_site(folder, i));
  std::atomic<int> running = 3;
  std::vector<std::thread> threads;
  for (Site& site : sites) {
    threads.emplace_back([&] {
      EXPECT_EQ(site.take_part([&] { return server.connect(site.name); }, kNever), Ending::kDone);
      --running;
    });
  }
  int kills = 0;
  for (; running > 0; ++kills) {
    const auto until = std::chrono::steady_clock::now() +
                       std::chrono::microseconds(random() % (2'000 * (1 + unsigned(kills))));
    while (std::chrono::steady_clock::now() < until && running > 0) std::this_thread::yield();
    server.kill();
    server.start();
  }
  for (std::thread& thread : threads) thread.join();
  server.kill();
  EXPECT_GT(kills, 3) << "seed " << kSeed;
  for (const Site& site : sites) {
    for (std::uint32_t round = 1; round <= 3; ++round) {
      EXPECT_EQ(site.trained.at(round), 1);  // nobody was asked twice
      EXPECT_EQ(results.updates[round].at(site.number), model_hash(tiny_update(site.seed(round))));
    }
    EXPECT_EQ(site.bundles.back(), 3U);
  }
}

}  // namespace
}  // namespace fedstill
