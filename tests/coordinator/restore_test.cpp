// A coordinator that is killed after any event and taken up from its store is the one that was
// killed, but for who is connected.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "coordinator/coordinator.h"
#include "model/sha256.h"
#include "tests/coordinator/fixture.h"
#include "tests/support/tiny_update.h"

namespace fedstill {
namespace {

CoordinatorOptions four_rounds() {
  CoordinatorOptions options;
  options.round.expected_clients = 3;
  options.round.min_clients = 2;
  options.round.deadline = std::chrono::seconds{1};
  options.round.stalled_after = std::chrono::milliseconds{400};
  options.plan = {std::string(64, 'a'), 1, std::string(64, 'b'), 3};
  options.plan.rounds = 4;
  options.image = {1, 4, 4};
  options.classes = 3;
  return options;
}

// What must survive.
struct Durable {
  std::uint32_t round = 0;
  Round::State state{};
  std::string failure;
  std::map<std::string, std::string> uploads;
  std::map<std::string, bool> members;  // whether excluded
  std::map<std::string, StoredJoin> joins;
  std::optional<StoredResult> result;
  bool finished = false;
  bool operator==(const Durable&) const = default;
};

class World {
 public:
  World() {
    for (std::uint64_t i = 0; i < 3; ++i) models_.push_back(encode_model(tiny_update(i)));
    start();
  }

  void kill() {
    coordinator_.reset();
    store_.reset();
  }
  void start() {
    store_ = std::make_unique<Store>(folder_.path());
    coordinator_ = std::make_unique<Coordinator>(four_rounds(), *store_, now_);
  }

  Durable durable() const {
    const Round& round = coordinator_->round();
    Durable view{round.number(),
                 round.state(),
                 round.failure(),
                 round.uploads(),
                 {},
                 coordinator_->joins(),
                 coordinator_->last_result(),
                 coordinator_->finished()};
    for (const auto& [client, facts] : round.members()) view.members[client] = facts.excluded;
    return view;
  }

  // One of everything that can happen; says what, for the message of a failure.
  std::string happen(std::mt19937& random) {
    const std::string client = std::string(1, static_cast<char>('a' + random() % 4));
    const auto& model = models_[random() % models_.size()];
    switch (random() % 12) {
      case 0:
      case 1:
        hear(client, Join{client, "tiny", 100});
        return "join " + client;
      case 2:
      case 3:
      case 4:
        hear(client, Join{client, "tiny", 100});
        upload(client, model);
        return "upload " + client;
      case 5:
        hear(client, BlobOffer{sha256_hex(model), model.size(), "update"});
        hear(client, BlobChunk{sha256_hex(model), 0}, {model.begin(), model.begin() + 50});
        return "half " + client;
      case 6:
        coordinator_->leave(client, now_);
        return "leave " + client;
      case 7:
        if (coordinator_->joins().contains(client)) coordinator_->exclude(client, "why", now_);
        return "exclude " + client;
      case 8:
      case 9:
        coordinator_->readmit(client, now_);
        return "readmit " + client;
      case 10:
        now_ += Instant{random() % 1500};
        coordinator_->tick(now_);
        return "wait";
      default:
        return go_on();
    }
  }

 private:
  void hear(const std::string& client, const Message& message, std::vector<std::byte> body = {}) {
    settled(coordinator_->receive(client, {message, std::move(body)}, now_), now_);
  }
  void upload(const std::string& client, const std::vector<std::byte>& model) {
    const std::string sha256 = sha256_hex(model);
    hear(client, BlobOffer{sha256, model.size(), "update"});
    hear(client, BlobChunk{sha256, 0}, model);
    hear(client, Upload{coordinator_->round().number(), client, sha256, 100});
  }
  std::string go_on() {
    const Round& round = coordinator_->round();
    if (round.state() == Round::State::kFailed) {
      coordinator_->reopen(now_);
      return "reopen";
    }
    if (round.state() == Round::State::kCollecting || coordinator_->finished()) return "nothing";
    const BlobInfo bundle = store_->blobs().add(numbered_bytes(static_cast<int>(round.number())));
    settled(coordinator_->publish(bundle, bundle, now_), now_);
    return "publish";
  }

  TemporaryFolder folder_;
  Instant now_{0};
  std::vector<std::vector<std::byte>> models_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Coordinator> coordinator_;
};

// With one chance in `lives` to be killed after an event. Adds the states it met.
void live(unsigned seed, int events, unsigned lives, std::set<Round::State>& met) {
  std::mt19937 random(seed);
  World world;
  std::string story = "seed " + std::to_string(seed) + ":";
  for (int i = 0; i < events; ++i) {
    story += " " + world.happen(random) + ",";
    const Durable before = world.durable();
    met.insert(before.state);
    if (random() % lives != 0) continue;
    world.kill();
    world.start();
    ASSERT_TRUE(world.durable() == before) << story;
  }
}

TEST(Restore, TheSameAfterAKillAfterEveryEvent) {
  std::set<Round::State> met;
  for (unsigned seed = 0; seed < 4; ++seed) live(seed, 50, 1, met);
  EXPECT_EQ(met.size(), 3U);
}

TEST(Restore, TheSameAfterAKillNowAndThen) {
  std::set<Round::State> met;
  for (unsigned seed = 100; seed < 106; ++seed) live(seed, 80, 5, met);
  EXPECT_EQ(met.size(), 3U);
}

}  // namespace
}  // namespace fedstill
