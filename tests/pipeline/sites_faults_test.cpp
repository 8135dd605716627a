// What goes wrong between real processes: kills at any instant, a full disk, lines that fall
// silent.
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <sstream>

#include "coordinator/store.h"
#include "tests/pipeline/failing_disk.h"
#include "tests/pipeline/sites.h"
#include "tests/support/bad_line.h"
#include "tests/support/http_get.h"

namespace fedstill::tests {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

bool runs_long_tests() {
  const char* text = std::getenv("FEDSTILL_LONG");
  return text != nullptr && *text != '\0';
}

class SitesFaults : public Sites {
 protected:
  // Kills the coordinator at random instants and starts it again, `most` times or until the job is
  // done. Half of the instants are anywhere in a life as long as a whole job, the other half right
  // after something happened.
  int kill_at_random(std::mt19937& random, int most) {
    int kills = 0;
    for (; kills < most; ++kills) {
      microseconds life{random() % 2'500'000};
      if (random() % 2 == 0) {
        const auto lines = lines_of(events()) + 1 + static_cast<std::ptrdiff_t>(random() % 12);
        while (lines_of(events()) < lines && !coordinator_->ends_within(microseconds{500})) {
        }
        life = microseconds{random() % 20'000};
      }
      if (coordinator_->ends_within(life)) break;
      coordinator_->signal(SIGKILL);
      if (coordinator_->wait() != -SIGKILL) break;  // it ended at that instant
      start_coordinator();
    }
    return kills;
  }
  static std::ptrdiff_t lines_of(const std::filesystem::path& file) {
    const std::string text = text_of(file);
    return std::ranges::count(text, '\n');
  }

  void expect_a_good_end() {
    for (auto& [i, client] : clients_) EXPECT_EQ(client->wait(), 0) << i << client->err();
    // Where it was killed between a client's last word and the note of it, it waits for a client
    // that does not come again, until its time is up or an administrator ends it.
    if (!coordinator_->ends_within(seconds{3})) ask("stop");
    const int code = coordinator_->wait();
    EXPECT_TRUE(code == 0 || code == 9) << code << coordinator_->err();
    EXPECT_EQ(student_of(state()), student_of(reference()));
    expect_intact(state() / "audit.jsonl");
    const Store store(state() / "store");  // opening checks the database
    const std::vector<StoredUpload> uploads = store.uploads(1);
    ASSERT_EQ(uploads.size(), kModels.size());
    for (std::size_t i = 0; i < kModels.size(); ++i) {
      EXPECT_EQ(text_of(state_of(i) / "bundle.fsb"), text_of(state() / "bundle.fsb"));
      expect_intact(state_of(i) / "audit.jsonl");
      EXPECT_EQ(sent_once(state_of(i) / "audit.jsonl"), uploads[i].sha256);
      EXPECT_NO_THROW(store.blob(uploads[i].sha256));
    }
  }
  static void expect_intact(const std::filesystem::path& audit) {
    const Finished verified = run_program({"audit", "verify", audit.string()});
    EXPECT_EQ(verified.code, 0) << audit << verified.err;
  }
  // In the client's own words: one update, and no byte of it asked for once it was accepted. (Where
  // the coordinator was killed before it could say so, the next it says may be the bundle.)
  static std::string sent_once(const std::filesystem::path& audit) {
    std::istringstream lines(text_of(audit));
    std::string update, request_for_nothing;
    bool is_accepted = false;
    for (std::string line; std::getline(lines, line);) {
      const auto entry = nlohmann::json::parse(line);
      const std::string what = entry.at("what"), sha256 = entry.at("sha256");
      if (what == "BlobOffer of update") {
        EXPECT_TRUE(update.empty() || update == sha256) << "trained twice";
        update = sha256;
        request_for_nothing = "BlobRequest from byte " + entry.at("bytes").dump();
      }
      if (entry.at("action") != "received" || sha256 != update) continue;
      if (what.ends_with(": accepted")) is_accepted = true;
      if (is_accepted && what.starts_with("BlobRequest")) {
        EXPECT_EQ(what, request_for_nothing);
      }
    }
    return update;
  }

  void begin_anew() {
    clients_.clear();
    coordinator_.reset();
    std::filesystem::remove_all(state());
    for (std::size_t i = 0; i < kModels.size(); ++i) std::filesystem::remove_all(state_of(i));
    port_.clear();
  }
  // What a full disk does to a running process: files may not grow past so many bytes.
  static void limit_files(const Process& process, rlim_t bytes) {
    rlimit limit{};
    ASSERT_EQ(::prlimit(process.pid(), RLIMIT_FSIZE, nullptr, &limit), 0);
    limit.rlim_cur = bytes;
    ASSERT_EQ(::prlimit(process.pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
  }
  // The third client's line falls silent within a transfer; it is killed there and goes on.
  void expect_to_survive_a_kill_within(Weather weather) {
    weather.end = Weather::End::kSilence;
    start_coordinator();
    start_client(0);
    start_client(1);
    BadLine line(static_cast<std::uint16_t>(std::stoi(port_)));
    line.set_weather(weather);
    line_ = std::to_string(line.port());
    start_client(2);
    while (line.silent() == 0) ASSERT_FALSE(clients_[2]->ends_within(microseconds{1000}));
    clients_[2]->signal(SIGKILL);
    EXPECT_EQ(clients_[2]->wait(), -SIGKILL);
    line.set_weather(Weather{});
    start_client(2);
    expect_a_good_end();
  }
};

TEST_F(SitesFaults, ACoordinatorKilledAtRandomInstantsGoesOn) {
  constexpr unsigned kSeed = 4;
  std::mt19937 random(kSeed);
  start_coordinator();
  start_clients();
  EXPECT_GT(kill_at_random(random, 3), 0) << "seed " << kSeed;
  expect_a_good_end();
}

TEST_F(SitesFaults, ACoordinatorKilledAtTwoHundredRandomInstantsGoesOn) {
  if (!runs_long_tests()) GTEST_SKIP() << "with FEDSTILL_LONG";
  constexpr unsigned kSeed = 200;
  constexpr int kAll = 200, kMostInOneJob = 12;
  std::mt19937 random(kSeed);
  int kills = 0, jobs = 0;
  for (; kills < kAll; ++jobs) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + ", job " + std::to_string(jobs));
    begin_anew();
    start_coordinator();
    start_clients();
    kills += kill_at_random(random, std::min(kMostInOneJob, kAll - kills));
    expect_a_good_end();
    if (HasFailure()) break;
  }
  RecordProperty("kills", kills);
  RecordProperty("jobs", jobs);
  std::cout << kills << " kills over " << jobs << " jobs, seed " << kSeed << "\n";
}

TEST_F(SitesFaults, AClientKilledWhileItDownloadsGoesOn) {
  Weather weather;
  weather.down = 60'000;  // of a pool of 100 kB
  expect_to_survive_a_kill_within(weather);
}

TEST_F(SitesFaults, AClientKilledWhileItUploadsGoesOn) {
  Weather weather;
  weather.up = 20'000;
  expect_to_survive_a_kill_within(weather);
}

TEST_F(SitesFaults, ADiskThatIsFullForAWhileCostsOnlyTime) {
  const std::uint16_t monitor = free_port();
  start_coordinator({"--set", "round.silent_seconds=3", "--monitor", std::to_string(monitor)});
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"stage\":\"clients\""));
  limit_files(*coordinator_, 2000);
  start_clients();
  while (http_get(monitor, "/health").find("File too large") == std::string::npos) {
    ASSERT_FALSE(coordinator_->ends_within(microseconds{1000})) << coordinator_->err();
  }
  EXPECT_THAT(http_get(monitor, "/metrics"), HasSubstr("fedstill_recording 0\n"));
  limit_files(*coordinator_, RLIM_INFINITY);
  expect_a_good_end();
}

// What the kernel does to a disk that fails. Nothing that was acknowledged is lost, although nobody
// had time to put anything in order.
TEST_F(SitesFaults, AStateThatTurnsReadOnlyTakesNothingNewAndKeepsWhatItHas) {
  const std::string obstacle = find_mount_obstacle();
  if (!obstacle.empty()) GTEST_SKIP() << obstacle;
  FailingDisk disk(state());
  const std::uint16_t monitor = free_port();
  start_coordinator({"--set", "round.silent_seconds=3", "--monitor", std::to_string(monitor)});
  start_client(0);
  ASSERT_TRUE(clients_[0]->wait_for_text(state_of(0) / "audit.jsonl", ": accepted"));
  disk.fail();
  start_client(1);
  start_client(2);
  for (const std::size_t i : {1, 2}) {
    ASSERT_TRUE(clients_[i]->wait_for_text(state_of(i) / "audit.jsonl", "cannot write now"));
  }
  EXPECT_THAT(http_get(monitor, "/health"), HasSubstr(" 503 "));
  EXPECT_THAT(http_get(monitor, "/metrics"), HasSubstr("fedstill_recording 0\n"));
  const auto status = nlohmann::json::parse(ask("status").out);
  EXPECT_NE(status.at("trouble"), "");
  EXPECT_EQ(status.at("clients"), 1);
  EXPECT_NE(ask("exclude", client_of(0)).code, 0);
  EXPECT_EQ(ask("stop").code, 0);
  EXPECT_EQ(coordinator_->wait(), 0) << coordinator_->err();
  EXPECT_THAT(coordinator_->err(), HasSubstr("warning: ["));
  start_coordinator();
  EXPECT_EQ(coordinator_->wait(), 6);
  disk.replace();
  start_coordinator();
  expect_a_good_end();
}

TEST_F(SitesFaults, AClientWhoseStateTurnsReadOnlySaysSoAndGoesOnLater) {
  if (!runs_long_tests()) GTEST_SKIP() << "with FEDSTILL_LONG";
  const std::string obstacle = find_mount_obstacle();
  if (!obstacle.empty()) GTEST_SKIP() << obstacle;
  FailingDisk disk(state_of(2));
  start_coordinator();
  start_client(2);
  ASSERT_TRUE(clients_[2]->wait_for_text(state_of(2) / "audit.jsonl", "RoundPlan"));
  disk.fail();
  start_client(0);
  start_client(1);
  ASSERT_TRUE(clients_[2]->wait_for_text(clients_[2]->err_file(), "trying again within 2 s"));
  EXPECT_THAT(clients_[2]->err(), HasSubstr("Read-only file system"));
  clients_[2]->signal(SIGTERM);
  EXPECT_EQ(clients_[2]->wait(), 9) << clients_[2]->err();
  start_client(2);
  EXPECT_EQ(clients_[2]->wait(), 6);
  EXPECT_THAT(clients_[2]->err(), HasSubstr("Read-only file system"));
  disk.replace();
  start_client(2);
  expect_a_good_end();
}

TEST_F(SitesFaults, AFailedRoundWaitsToBeReopened) {
  if (!runs_long_tests()) GTEST_SKIP() << "with FEDSTILL_LONG: it takes two minutes to fail";
  start_coordinator({"--wait-on-failure", "--set", "round.deadline_minutes=1", "--set",
                     "round.stalled_minutes=1", "--set", "round.minimum=3"});
  start_client(0);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "fedstill reopen"));
  EXPECT_EQ(nlohmann::json::parse(ask("status").out).at("state"), "failed");
  EXPECT_EQ(ask("reopen").code, 0);
  EXPECT_EQ(ask("reopen").code, 10);  // it collects
  start_client(1);
  start_client(2);
  expect_a_good_end();
}

TEST_F(SitesFaults, AFailedRoundEndsTheCoordinatorThatGoesOnWhenStartedAgain) {
  if (!runs_long_tests()) GTEST_SKIP() << "with FEDSTILL_LONG: it takes a minute to fail";
  start_coordinator({"--set", "round.deadline_minutes=1", "--set", "round.stalled_minutes=1",
                     "--set", "round.minimum=3"});
  start_client(0);
  EXPECT_EQ(coordinator_->wait(), 12);
  EXPECT_THAT(coordinator_->err(), HasSubstr("1 uploads past the deadline"));
  start_coordinator();
  start_client(1);
  start_client(2);
  expect_a_good_end();
}

}  // namespace
}  // namespace fedstill::tests
