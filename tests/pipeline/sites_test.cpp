#include "tests/pipeline/sites.h"

#include "launch/sites/proxy.h"
#include "tests/support/environment.h"
#include "tests/support/http_get.h"
#include "tests/support/http_proxy.h"

namespace fedstill::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Sites, TheStudentIsThatOfOneProcess) {
  start_coordinator();
  start_clients();
  expect_the_same_student();
  // Both sides wrote down what passed.
  for (const auto& log : {state() / "audit.jsonl", work_ / client_of(0) / "audit.jsonl"}) {
    const Finished verified = run_program({"audit", "verify", log.string(), "--json"});
    EXPECT_EQ(verified.code, 0) << verified.err;
    EXPECT_GT(nlohmann::json::parse(verified.out).at("entries"), 5);
    const std::string update =
        report_of(state()).at("clients").at(0).at("sha256").get<std::string>();
    EXPECT_THAT(text_of(log), HasSubstr(update));
  }
}

TEST_F(Sites, AClientMayKeepItsModel) {
  start_coordinator();
  start_client(0);
  start_client(1, {"--mode", "predictions"});
  start_client(2);
  for (auto& [i, client] : clients_) EXPECT_EQ(client->wait(), 0) << i << client->err();
  EXPECT_EQ(coordinator_->wait(), 0) << coordinator_->err();
  const auto report = report_of(state());
  const auto alone = report_of(reference());
  // What it said of the pool is what its model would have said, so the labels are the same but for
  // its sample count, which is not believed beyond the median.
  EXPECT_NEAR(report.at("ensemble").at("pool_accuracy").get<double>(),
              alone.at("ensemble").at("pool_accuracy").get<double>(), 0.05);
  EXPECT_EQ(report.at("clients").at(1).at("mode"), "predictions");
  EXPECT_TRUE(report.at("clients").at(1).at("test_accuracy").is_null());
  EXPECT_THAT(report.at("ensemble").at("note"), HasSubstr("that of 2 of 3 clients"));
  EXPECT_TRUE(alone.at("ensemble").at("note").is_null());
  EXPECT_EQ(report.at("clients").at(2).at("test_accuracy"),
            alone.at("clients").at(2).at("test_accuracy"));
  EXPECT_THAT(text_of(work_ / client_of(1) / "audit.jsonl"), HasSubstr("Predictions"));
  EXPECT_THAT(text_of(work_ / client_of(1) / "audit.jsonl"), Not(HasSubstr("\"Upload\"")));
}

TEST_F(Sites, ACoordinatorKilledInEveryPhaseGoesOn) {
  start_coordinator();
  start_clients();
  for (const char* phase :
       {"\"message\":\"Upload\"", "\"stage\":\"teachers\"", "\"stage\":\"student\"",
        "\"stage\":\"bundle\"", "\"stage\":\"delivery\""}) {
    ASSERT_TRUE(coordinator_->wait_for_text(events(), phase)) << phase << coordinator_->err();
    kill_coordinator();
    start_coordinator();
  }
  expect_the_same_student();
  EXPECT_THAT(clients_[0]->err(), HasSubstr("connected again"));
}

TEST_F(Sites, AClientKilledWhileItTrainsGoesOn) {
  start_coordinator();
  start_clients();
  ASSERT_TRUE(clients_[1]->wait_for_file(work_ / client_of(1), ".checkpoint"))
      << clients_[1]->err();
  clients_[1]->signal(SIGKILL);
  EXPECT_EQ(clients_[1]->wait(), -SIGKILL);
  start_client(1);
  expect_the_same_student();
}

// Its clients sleep, so that nobody takes the bundle before it is told to.
TEST_F(Sites, ACoordinatorToldToEndWhileItDistillsOrDeliversGoesOn) {
  start_coordinator();
  start_clients();
  for (const auto& [i, client] : clients_) {
    ASSERT_TRUE(client->wait_for_text(state_of(i) / "audit.jsonl", ": accepted")) << client->err();
    client->signal(SIGSTOP);
  }
  for (const char* phase : {"\"stage\":\"student\"", "\"stage\":\"delivery\""}) {
    ASSERT_TRUE(coordinator_->wait_for_text(coordinator_->err_file(), "listening on port"));
    ASSERT_TRUE(coordinator_->wait_for_text(events(), phase)) << phase << coordinator_->err();
    coordinator_->signal(SIGTERM);
    EXPECT_EQ(coordinator_->wait(), 9) << coordinator_->err();
    EXPECT_THAT(coordinator_->err(), HasSubstr("go on with the same --state"));
    start_coordinator();
  }
  for (const auto& [i, client] : clients_) client->signal(SIGCONT);
  expect_the_same_student();
}

TEST_F(Sites, TheLogTellsMoreOnceItIsAskedTo) {
  const auto log = work_ / "coordinator.log", log_of_client = work_ / "client.log";
  start_coordinator({"--log", log.string(), "--log-level", "warning"});
  EXPECT_EQ(ask("log-level", "debug").code, 0);
  EXPECT_EQ(ask("log-level", "loud").code, 10);
  start_client(0, {"--log", log_of_client.string()});
  EXPECT_TRUE(coordinator_->wait_for_text(log, "Join")) << coordinator_->err();
  EXPECT_THAT(text_of(log), HasSubstr("Z debug "));
  EXPECT_THAT(text_of(log), Not(HasSubstr("listening")));
  EXPECT_THAT(text_of(log_of_client),
              HasSubstr(client_of(0) + " takes part at 127.0.0.1:" + port_));
}

// The coordinator's address is one that only the proxy knows.
TEST_F(Sites, TheWayMayLeadThroughAProxyThatWantsAPassword) {
  start_coordinator();
  const Relay proxy(static_cast<std::uint16_t>(std::stoi(port_)), proxy_with_password());
  const std::vector<std::string> through{"--proxy", "127.0.0.1:" + std::to_string(proxy.port())};
  const auto words_of = [&](const std::string& command, const std::string& name) {
    std::vector<std::string> words = whom(command, name);
    words.insert(words.end(), through.begin(), through.end());
    return words;
  };
  port_ = "1";
  const Finished refused = run_program(words_of("preflight", client_of(0)));
  EXPECT_EQ(refused.code, 11) << refused.err;
  EXPECT_THAT(refused.out, HasSubstr("407 Proxy Authentication Required"));

  const Variable authorization(kProxyAuthorization, "user:secret");
  const Finished found = run_program(words_of("preflight", client_of(0)));
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_THAT(found.out, HasSubstr("ok      proxy"));
  start_client(0, through);
  ASSERT_TRUE(clients_[0]->wait_for_text(state_of(0) / "audit.jsonl", "RoundPlan"))
      << clients_[0]->err();
  const Finished status = run_program(words_of("status", "ops"));
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr(client_of(0)));
  EXPECT_EQ(run_program(words_of("stop", "ops")).code, 0);
  EXPECT_EQ(coordinator_->wait(), 0);
}

TEST_F(Sites, StoppedOrToldToEndEitherSideSaysHowToGoOn) {
  start_coordinator({"--json"});
  start_client(0);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Join\""));
  EXPECT_EQ(run_program(whom("stop", "ops")).code, 0);
  EXPECT_EQ(coordinator_->wait(), 0);
  const auto stopped = nlohmann::json::parse(coordinator_->out());
  EXPECT_EQ(stopped.at("status"), "success");
  EXPECT_EQ(stopped.at("stopped_by"), "ops");
  const std::string folder = state().string();
  const Finished simulated = run_program({"simulate", "--resume", folder});
  EXPECT_EQ(simulated.code, 3);  // not made-up clients in place of the sites
  EXPECT_THAT(simulated.err, HasSubstr("fedstill coordinator --state " + folder));
  EXPECT_THAT(run_program({"inspect", folder}).out, HasSubstr("unfinished run of coordinator"));
  start_coordinator();
  start_client(1);
  ASSERT_TRUE(clients_[1]->wait_for_text(state_of(1) / "audit.jsonl", "RoundPlan"));
  coordinator_->signal(SIGTERM);
  EXPECT_EQ(coordinator_->wait(), 9);
  EXPECT_TRUE(clients_[1]->wait_for_text(state_of(1) / "audit.jsonl", "\"what\":\"Leave"));
  clients_[1]->signal(SIGTERM);
  EXPECT_EQ(clients_[1]->wait(), 9);
  EXPECT_THAT(clients_[1]->err(), HasSubstr("--state"));
  start_coordinator();
  start_client(1);
  start_client(2);
  expect_the_same_student();
}

// From before anything was sent: the clients send again what the coordinator has forgotten, and
// train nothing again.
TEST_F(Sites, ABackupGoesOnWithWhatTheClientsStillHave) {
  start_coordinator();
  start_client(0);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Join\""));
  kill_coordinator();
  std::filesystem::copy(state(), work_ / "backup", std::filesystem::copy_options::recursive);
  start_coordinator();
  start_client(1);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Upload\""));
  kill_coordinator();
  std::filesystem::remove_all(state());
  std::filesystem::copy(work_ / "backup", state(), std::filesystem::copy_options::recursive);
  start_coordinator();
  start_client(2);
  expect_the_same_student();
}

TEST_F(Sites, AnotherJobForTheSameStateIsRefused) {
  start_coordinator();
  kill_coordinator();
  std::vector<std::string> words{
      "coordinator", "--state",    state().string(), "--identity", identity("hub").string(),
      "--listen",    "127.0.0.1:0"};
  append_settings(words);
  words.insert(words.end(), {"--set", "clients.count=4"});
  const Finished found = run_program(words);
  EXPECT_EQ(found.code, 3) << found.err;
  EXPECT_THAT(found.err, HasSubstr("clients.count = 3, asked for 4"));
}

TEST_F(Sites, HowLongARoundWaitsMayChangeWhenItIsStartedAgain) {
  start_coordinator();
  kill_coordinator();
  start_coordinator({"--set", "round.deadline_minutes=7"});  // the rest as it is there
  ASSERT_TRUE(coordinator_->wait_for_text(state() / "job.toml", "deadline_minutes = 7"))
      << coordinator_->err();
  kill_coordinator();
  start_coordinator();
  Finished found = ask("status");
  for (; found.code != 0; found = ask("status")) {  // it does not listen yet
    ASSERT_FALSE(coordinator_->ends_within(std::chrono::milliseconds{5})) << coordinator_->err();
  }
  const double left = nlohmann::json::parse(found.out).at("deadline_seconds");
  EXPECT_GT(left, 300);
  EXPECT_LE(left, 420);
  EXPECT_EQ(text_of(state() / "audit.jsonl").find("Status"), std::string::npos);  // a look
}

// Neither its name, nor its certificate, nor its state is lost with a first attempt that came to
// nothing.
TEST_F(Sites, AFirstAttemptWithTheWrongImagesBindsNobody) {
  start_coordinator();
  std::vector<std::string> words = whom("preflight", client_of(0));
  words.insert(words.end(), {"--data", "synthetic:4x1x12x12", "--json"});
  Finished found = run_program(words);
  EXPECT_EQ(found.code, 4) << found.err;
  EXPECT_THAT(nlohmann::json::parse(found.out).at("message"), HasSubstr("asks for 1 × 16 × 16"));
  words = whom("client", client_of(0));
  words.insert(words.end(), {"--data", "synthetic:4x1x12x12", "--model", "cnn3", "--state",
                             state_of(0).string(), "--threads", "1"});
  found = run_program(words);
  EXPECT_EQ(found.code, 4) << found.err;
  EXPECT_THAT(found.err, HasSubstr("found images of 1 × 12 × 12, expected 1 × 16 × 16"));
  EXPECT_EQ(nlohmann::json::parse(ask("clients").out).at("clients").at(0).at("samples"), 6000);
  start_clients();
  expect_the_same_student();
}

TEST_F(Sites, WhoIsTooLateForTheRoundGetsTheBundleAllTheSame) {
  start_coordinator({"--set", "clients.count=2"});
  start_client(2);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Join\""));
  clients_[2]->signal(SIGSTOP);
  start_client(0);
  start_client(1);
  for (std::size_t i : {0, 1}) EXPECT_EQ(clients_[i]->wait(), 0) << i << clients_[i]->err();
  EXPECT_TRUE(coordinator_->wait_for_text(coordinator_->err_file(),
                                          "for 1 client without the bundle: client-02"))
      << coordinator_->err();
  clients_[2]->signal(SIGCONT);
  EXPECT_EQ(clients_[2]->wait(), 0) << clients_[2]->err();
  EXPECT_EQ(coordinator_->wait(), 0) << coordinator_->err();
  EXPECT_EQ(text_of(state_of(2) / "bundle.fsb"), text_of(state() / "bundle.fsb"));
}

TEST_F(Sites, StatusNamesTheMembers) {
  start_coordinator();
  start_client(2);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Join\""));
  std::vector<std::string> words = whom("status", "ops");
  words.push_back("--json");
  const Finished found = run_program(words);
  ASSERT_EQ(found.code, 0) << found.err;
  const auto status = nlohmann::json::parse(found.out);
  EXPECT_EQ(status.at("state"), "collecting");
  EXPECT_EQ(status.at("members").at(0).at("client"), client_of(2));
  EXPECT_EQ(status.at("members").at(0).at("architecture"), kModels[2]);

  words = whom("status", "ops");
  words.emplace_back("--watch");
  const Process watching(words);
  while (watching.out().find(client_of(2)) == std::string::npos) {
    ASSERT_FALSE(watching.ends_within(std::chrono::milliseconds{5})) << watching.err();
  }
  EXPECT_THAT(watching.out(), HasSubstr("to the deadline"));
  watching.signal(SIGINT);
  EXPECT_TRUE(watching.ends_within(std::chrono::seconds{60}));
}

TEST_F(Sites, AnExcludedClientIsSentAwayUntilItIsReadmitted) {
  const std::uint16_t monitor = free_port();
  start_coordinator({"--monitor", std::to_string(monitor)});
  start_client(0);
  start_client(1);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Upload\""));
  EXPECT_EQ(ask("exclude", client_of(1)).code, 0);
  EXPECT_EQ(clients_[1]->wait(), 10) << clients_[1]->err();
  EXPECT_THAT(clients_[1]->err(), HasSubstr("excluded: by ops"));
  EXPECT_THAT(http_get(monitor, "/metrics"), HasSubstr("fedstill_members{state=\"excluded\"} 1\n"));
  EXPECT_THAT(http_get(monitor, "/health"), HasSubstr("\"status\":\"ok\""));
  EXPECT_EQ(ask("exclude", "nobody").code, 10);

  const auto clients = nlohmann::json::parse(ask("clients").out).at("clients");
  ASSERT_EQ(clients.size(), 2);
  EXPECT_EQ(clients[1].at("excluded"), "by ops");
  EXPECT_TRUE(clients[0].at("excluded").is_null());
  EXPECT_EQ(nlohmann::json::parse(ask("rounds").out).at("rounds").at(0).at("round"), 1);

  EXPECT_EQ(ask("readmit", client_of(1)).code, 0);
  start_client(1);
  start_client(2);
  expect_the_same_student();
}

TEST_F(Sites, AClientMayNotAdminister) {
  start_coordinator();
  const Finished found = run_program(whom("stop", client_of(0)));
  EXPECT_NE(found.code, 0);
  EXPECT_EQ(run_program(whom("status", "ops")).code, 0);  // it runs on
}

TEST_F(Sites, ARevokedClientIsTurnedAway) {
  std::ofstream(revoked()) << describe_certificate(identity(client_of(0)) / "site.crt")
                                  .at("fingerprint")
                                  .get<std::string>()
                           << "\n";
  start_coordinator({"--revoked", revoked()});
  const Finished found = run_program(whom("preflight", client_of(0)));
  EXPECT_EQ(found.code, 10);
  EXPECT_THAT(found.out, HasSubstr("FAILED"));
  std::vector<std::string> as_json = whom("preflight", client_of(0));
  as_json.push_back("--json");
  EXPECT_EQ(nlohmann::json::parse(run_program(as_json).out).at("status"), "error");  // one document
  start_client(0);  // which does not dial for ever
  EXPECT_EQ(clients_[0]->wait(), 10);
  EXPECT_THAT(clients_[0]->err(), HasSubstr("certificate revoked"));
  EXPECT_THAT(clients_[0]->err(), HasSubstr("hint: a new certificate is needed"));
  EXPECT_EQ(run_program(whom("preflight", client_of(1))).code, 0);
}

TEST_F(Sites, AClientMayBringAModelAndItsStateIsOfThatAndOneMode) {
  start_coordinator();
  const auto its_update = [](std::size_t i) {
    return (reference() / "clients" / client_of(i) / "update.safetensors").string();
  };
  own_model_ = its_update(1);
  start_client(0);
  ASSERT_TRUE(clients_[0]->wait_for_text(state_of(0) / "audit.jsonl", ": accepted"));
  const auto clients = nlohmann::json::parse(ask("clients").out).at("clients");
  EXPECT_EQ(clients[0].at("architecture"), kModels[1]);
  EXPECT_TRUE(clients[0].at("update").is_string());
  clients_[0]->signal(SIGTERM);
  clients_[0]->wait();
  start_client(0, {"--mode", "predictions"});  // its model lies in that state
  EXPECT_EQ(clients_[0]->wait(), 2);
  EXPECT_THAT(clients_[0]->err(), HasSubstr("another --state"));
  own_model_ = its_update(2);
  start_client(0);
  EXPECT_EQ(clients_[0]->wait(), 2);
}

TEST_F(Sites, AMisspeltModelIsSaidBeforeAnybodyIsDialled) {
  start_coordinator();
  std::vector<std::string> words = whom("client", client_of(0));
  for (const auto& word :
       {std::string("--data"), "idx:" + (*certificates_ / "sites" / client_of(0)).string(),
        std::string("--model"), std::string("resnet9"), std::string("--state"),
        (work_ / client_of(0)).string()}) {
    words.push_back(word);
  }
  const Finished found = run_program(words);
  EXPECT_EQ(found.code, 2) << found.err;
  EXPECT_THAT(found.err, HasSubstr("resnet8"));
  EXPECT_EQ(nlohmann::json::parse(ask("clients").out).at("clients").size(), 0);
}

TEST_F(Sites, WhoIsNoClientTakesNoPart) {
  port_ = "1";
  std::vector<std::string> words = whom("client", "ops");
  words.insert(words.end(), {"--data", "synthetic:4x1x16x16", "--model", "mlp", "--state",
                             state_of(0).string()});
  const Finished found = run_program(words);
  EXPECT_EQ(found.code, 10);
  EXPECT_THAT(found.err, HasSubstr("expected role client"));
}

TEST_F(Sites, NobodyThereIsSaid) {
  port_ = "1";
  const Finished found = run_program(whom("status", "ops"));
  EXPECT_EQ(found.code, 11);
  EXPECT_THAT(found.err, HasSubstr("127.0.0.1"));
}

}  // namespace
}  // namespace fedstill::tests
