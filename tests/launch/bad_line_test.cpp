// A coordinator and its clients over TLS, with everything real but the training, and lines between
// them that are slow, cut, reset or silent.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "client/participant.h"
#include "coordinator/reception.h"
#include "launch/sites/service.h"
#include "model/atomic_file.h"
#include "model/model_file.h"
#include "tests/support/bad_line.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tiny_update.h"
#include "tests/transport/raw_peer.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kClasses = 1500;  // so that an update has 100 kB
const std::vector<std::byte> kPool(120'000, std::byte{7});
const std::vector<std::byte> kBundle(90'000, std::byte{9});
const std::atomic<bool> kNever = false;

// A coordinator on a port that publishes its one round as soon as it is closed.
class Host {
 public:
  Host(const fs::path& folder, TestAuthority& authority, int clients, std::size_t bytes_in_flight)
      : store_(folder), coordinator_(options(store_, clients), store_, Service::now()) {
    ServerOptions server;
    server.credentials = authority.coordinator();
    ReceptionOptions reception;
    reception.heartbeat = seconds{1};
    reception.bytes_in_flight = bytes_in_flight;
    reception.on_frame = [this](const std::string& peer, const Frame& frame, bool received) {
      note(peer, frame, received);
    };
    service_ =
        std::make_unique<Service>(server, coordinator_, reception, [](const std::string&) {});
    publishing_ = std::thread([this] { publish(); });
  }
  ~Host() {
    is_over_ = true;
    publishing_.join();
    service_->stop();
  }
  std::uint16_t port() const { return service_->port(); }
  ServerCounters counters() const { return service_->counters(); }
  std::map<std::string, std::string> uploads() {
    return service_->on_brain(
        [](Coordinator& c, Reception&, Instant) { return c.round().uploads(); });
  }
  std::size_t joins() {
    return service_->on_brain([](Coordinator& c, Reception&, Instant) { return c.joins().size(); });
  }
  bool has_accepted(const std::string& client) {
    const std::lock_guard guard(accepting_);
    return accepted_.contains(client);
  }

 private:
  static CoordinatorOptions options(Store& store, int clients) {
    const BlobInfo pool = store.blobs().add(kPool);
    CoordinatorOptions options;
    options.round.expected_clients = options.round.min_clients = clients;
    options.plan = {std::string(64, 'a'), 1, pool.sha256, kClasses};
    options.plan.pool_bytes = pool.bytes;
    options.image = {1, 4, 4};
    options.classes = kClasses;
    return options;
  }
  void note(const std::string& peer, const Frame& frame, bool received) {
    const auto* answer = std::get_if<Acknowledgement>(&frame.message);
    if (received || answer == nullptr || !answer->accepted || answer->sha256.empty()) return;
    const std::lock_guard guard(accepting_);
    accepted_.insert(peer);
  }
  void publish() {
    for (bool is_closed = false; !is_closed && !is_over_; std::this_thread::yield()) {
      is_closed = service_->on_brain([&](Coordinator& c, Reception& reception, Instant now) {
        if (c.round().state() != Round::State::kClosed) return false;
        reception.publish(store_.blobs().add(kBundle), {}, now);
        return true;
      });
      if (!is_closed) std::this_thread::sleep_for(milliseconds{1});
    }
  }

  Store store_;
  Coordinator coordinator_;
  std::unique_ptr<Service> service_;
  std::atomic<bool> is_over_ = false;
  std::mutex accepting_;
  std::set<std::string> accepted_;  // whose updates
  std::thread publishing_;
};

class BadLines : public testing::Test {
 protected:
  struct Site {
    Ending ending = Ending::kStopped;
    int trained = 0, cuts = 0;
    std::string refusal;
    std::vector<std::byte> bundle;
  };

  void serve(int clients, std::size_t bytes_in_flight = 1) {  // 1: the smallest chunks
    host_ = std::make_unique<Host>(folder_.path() / "coordinator", authority_, clients,
                                   bytes_in_flight);
  }
  static Graph update_of(const std::string& name) { return tiny_update(name.back(), kClasses); }
  // Takes part under the name, with state in the folder, through the port.
  Site take_part_as(const std::string& name, std::uint16_t port, const std::string& folder = "",
                    std::int64_t samples = 100,
                    const std::function<void(const Frame& frame, bool received)>& on_frame = {}) {
    Site site;
    const fs::path here = folder_.path() / (folder.empty() ? name : folder);
    ClientStore store(here);
    ClientSession session({name, "tiny", samples}, store);
    SiteWork work;
    work.make_update = [&](const RoundPlan&, WorkProgress&, const std::atomic<bool>&) {
      ++site.trained;
      ++trained_;
      write_model(here / "update", update_of(name));
      return here / "update";
    };
    work.on_bundle = [&](const Delivery&, const fs::path& file) {
      site.bundle = read_file(file, 1 << 20);
    };
    work.on_trouble = [&](const std::string&) { ++site.cuts; };
    work.on_frame = on_frame;
    ParticipantOptions options;
    options.first_wait = milliseconds{1};
    options.longest_wait = milliseconds{20};
    options.poll = milliseconds{1};
    options.heartbeat = heartbeat_;
    options.chunk_bytes = 4000;
    const Credentials credentials = credentials_of(name);
    const auto connect = [&]() -> std::unique_ptr<Channel> {
      try {
        return dial({"127.0.0.1", port}, credentials);
      } catch (const DialError& error) {
        throw ChannelClosed(error.what());
      }
    };
    site.ending = take_part(session, connect, work, kNever, options);
    site.refusal = session.refusal();
    return site;
  }
  Credentials credentials_of(const std::string& name) {
    const std::lock_guard guard(issuing_);
    return authority_.client(name);
  }
  void expect_a_good_end(const Site& site, const std::string& name) {
    EXPECT_EQ(site.ending, Ending::kDone);
    EXPECT_EQ(site.trained, 1);
    EXPECT_EQ(site.bundle, kBundle);
    EXPECT_EQ(host_->uploads().at(name), model_hash(update_of(name)));
  }

  TemporaryFolder folder_;
  TestAuthority authority_;
  std::mutex issuing_;
  std::unique_ptr<Host> host_;
  std::atomic<int> trained_{0};  // by anybody
  milliseconds heartbeat_{300};  // silence is noticed after four of them
};

TEST_F(BadLines, CutsAndResetsAtRandomBytesBothWays) {
  constexpr unsigned kSeed = 31;
  std::mt19937 random(kSeed);
  serve(2);
  BadLine line(host_->port());
  line.set_weather([&] {
    Weather weather;
    weather.up = random() % 20'000;  // some within the handshake
    weather.down = random() % 40'000;
    weather.end = random() % 2 == 0 ? Weather::End::kClose : Weather::End::kReset;
    if (random() % 2 == 0) weather.delay = milliseconds{random() % 3};
    return weather;
  });
  Site other;
  std::thread beside([&] { other = take_part_as("site-2", line.port()); });
  const Site site = take_part_as("site-1", line.port());
  beside.join();
  expect_a_good_end(site, "site-1");
  expect_a_good_end(other, "site-2");
  EXPECT_GT(line.ended(), 20U) << "seed " << kSeed;
}

TEST_F(BadLines, AConnectionThatFallsSilentIsReplacedByANewOne) {
  serve(1);
  BadLine line(host_->port());
  line.set_weather([n = 0]() mutable {
    Weather weather;
    weather.end = Weather::End::kSilence;
    if (n == 0) weather.down = 50'000;  // within the pool
    if (n == 1) weather.up = 50'000;    // within the update
    ++n;
    return weather;
  });
  expect_a_good_end(take_part_as("site-1", line.port()), "site-1");
  EXPECT_EQ(line.silent(), 2U);
  EXPECT_EQ(line.connections(), 3U);
}

TEST_F(BadLines, AFarAndThinLineTakesLongerAndDoesNotHoldUpANearOne) {
  serve(2);
  BadLine thin(host_->port());
  Weather weather;
  weather.delay = milliseconds{20};
  weather.bytes_per_second = 400'000;
  thin.set_weather(weather);
  // The far one takes no more of the pool than its first chunk before the near one is through.
  bool near_was_first = false;
  std::size_t chunks = 0;
  const auto linger = [&](const Frame& frame, bool received) {
    if (!received || !std::holds_alternative<BlobChunk>(frame.message) || ++chunks > 1) return;
    const auto until = std::chrono::steady_clock::now() + seconds{30};
    while (!near_was_first && std::chrono::steady_clock::now() < until) {
      near_was_first = host_->has_accepted("site-2");
      std::this_thread::yield();
    }
  };
  Site far;
  std::thread slow([&] { far = take_part_as("site-1", thin.port(), "", 100, linger); });
  const Site near = take_part_as("site-2", host_->port());
  slow.join();
  EXPECT_TRUE(near_was_first);
  EXPECT_GT(chunks, 2U);
  EXPECT_EQ(far.cuts, 0);
  expect_a_good_end(near, "site-2");
  expect_a_good_end(far, "site-1");
  EXPECT_EQ(thin.connections(), 1U);
}

// Without a whole frame for longer than a coordinator may be silent.
TEST_F(BadLines, OnALineOnWhichAChunkTakesLongWhatTricklesInCounts) {
  serve(1, std::size_t{1} << 20);
  heartbeat_ = milliseconds{100};
  BadLine thin(host_->port());
  Weather weather;
  weather.bytes_per_second = 130'000;  // half a second for the first chunk
  thin.set_weather(weather);
  expect_a_good_end(take_part_as("site-1", thin.port()), "site-1");
}

TEST_F(BadLines, ARecordedRegistrationThatIsReplayedIsNoRegistration) {
  serve(2);
  {
    BadLine line(host_->port());
    Weather weather;
    weather.up = 30'000;  // past Hello and Join
    bool is_first = true;
    line.set_weather([&] { return std::exchange(is_first, false) ? weather : Weather{}; });
    std::thread recorded([&] { take_part_as("site-1", line.port()); });
    while (line.ended() == 0) std::this_thread::yield();
    const std::uint64_t refused = host_->counters().refused;
    RawSocket replayer(host_->port());
    replayer.send(line.last_recording());
    EXPECT_TRUE(replayer.is_closed_by_peer());
    EXPECT_GT(host_->counters().refused, refused);
    EXPECT_EQ(host_->joins(), 1U);
    expect_a_good_end(take_part_as("site-2", host_->port()), "site-2");
    recorded.join();
  }
  EXPECT_EQ(host_->joins(), 2U);
}

TEST_F(BadLines, AClientThatIsRefusedAgainAndAgainIsShutOut) {
  serve(1);
  const auto knock = [&] {
    const auto channel = dial({"127.0.0.1", host_->port()}, credentials_of("site-9"));
    channel->send({Hello{}, {}});
    for (int i = 0; i < 1000; ++i) {
      channel->send({Join{"somebody-else", "tiny", 100}, {}});
      while (channel->receive(milliseconds{0})) {
      }
    }
    while (channel->receive(seconds{60})) {
    }
  };
  EXPECT_THROW(knock(), ChannelClosed);
  EXPECT_EQ(host_->counters().shut_out, 1);
  const std::uint64_t refused = host_->counters().refused;
  EXPECT_THROW(knock(), ChannelClosed);                                    // at its handshake
  while (host_->counters().refused == refused) std::this_thread::yield();  // told before counted
  EXPECT_EQ(host_->counters().refused, refused + 1);
  EXPECT_EQ(host_->counters().shut_out, 1);
  EXPECT_EQ(take_part_as("site-1", host_->port()).ending, Ending::kDone);
}

// They take the place from one another, and the round gets its update all the same.
TEST_F(BadLines, TwoClientsWithOneIdentity) {
  serve(2);
  Site site, twin;
  std::thread one([&] { site = take_part_as("site-1", host_->port()); });
  std::thread another([&] { twin = take_part_as("site-1", host_->port(), "twin"); });
  while (trained_ < 2) std::this_thread::yield();
  const Site other = take_part_as("site-2", host_->port());
  one.join();
  another.join();
  expect_a_good_end(other, "site-2");
  expect_a_good_end(site, "site-1");
  expect_a_good_end(twin, "site-1");
  EXPECT_EQ(host_->uploads().size(), 2U);
}

TEST_F(BadLines, ATwinWithOtherDataIsRefused) {
  serve(2);
  Site first;
  std::thread beside([&] { first = take_part_as("site-1", host_->port()); });
  while (host_->joins() == 0) std::this_thread::yield();
  const Site twin = take_part_as("site-1", host_->port(), "twin", 99);
  EXPECT_EQ(twin.ending, Ending::kRefused);
  EXPECT_NE(twin.refusal.find("the same is expected"), std::string::npos) << twin.refusal;
  const Site other = take_part_as("site-2", host_->port());
  beside.join();
  expect_a_good_end(first, "site-1");
  expect_a_good_end(other, "site-2");
}

}  // namespace
}  // namespace fedstill
