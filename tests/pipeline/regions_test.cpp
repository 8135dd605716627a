#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/pipeline/sites.h"

// Coordinators of two regions that are clients of a third.
namespace fedstill::tests {
namespace {

class Regions : public Sites {
 public:
  static void SetUpTestSuite() {
    Sites::SetUpTestSuite();
    for (const char* region : {"region-0", "region-1"}) admit(region, "client", {});
  }

 protected:
  // A coordinator of its own, in a folder of its name.
  struct Hub {
    std::string name, port;
    std::vector<std::string> more;
    std::unique_ptr<Process> process;
  };

  Hub start_hub(const std::string& name, int clients, std::vector<std::string> more = {}) {
    more.insert(more.end(),
                {"--set", "clients.count=" + std::to_string(clients), "--set", "round.minimum=1"});
    Hub hub{name, "0", std::move(more), nullptr};
    start(hub);
    const auto events = work_ / name / "events.jsonl";
    EXPECT_TRUE(hub.process->wait_for_text(events, "\"port\":")) << hub.process->err();
    const std::string log = text_of(events);
    const std::string found = log.substr(log.find("\"port\":") + 7);
    hub.port = found.substr(0, found.find_first_not_of("0123456789"));
    return hub;
  }
  void start(Hub& hub) {
    std::vector<std::string> words{"coordinator",
                                   "--state",
                                   (work_ / hub.name).string(),
                                   "--identity",
                                   identity("hub").string(),
                                   "--listen",
                                   "127.0.0.1:" + hub.port};
    append_settings(words);
    words.insert(words.end(), hub.more.begin(), hub.more.end());
    hub.process = std::make_unique<Process>(words);
  }
  Hub start_region(const std::string& name, int clients, const Hub& above) {
    return start_hub(
        name, clients,
        {"--upstream", "127.0.0.1:" + above.port, "--upstream-identity", identity(name).string()});
  }
  void start_client_of(const Hub& hub, std::size_t i) {
    port_ = hub.port;
    start_client(i);
  }
  std::filesystem::path folder(const Hub& hub) const { return work_ / hub.name; }
};

TEST_F(Regions, TheBundleOfTheWholeComesDownToEveryClient) {
  Hub world = start_hub("world", 2);
  Hub first = start_region("region-0", 2, world), second = start_region("region-1", 1, world);
  start_client_of(first, 0);
  start_client_of(first, 1);
  start_client_of(second, 2);
  // Its part is done and sent, that of the others may not be.
  ASSERT_TRUE(first.process->wait_for_text(folder(first) / "upstream" / "audit.jsonl", "Upload"))
      << first.process->err();
  first.process->signal(SIGKILL);
  first.process->wait();
  start(first);
  for (auto& [i, client] : clients_) EXPECT_EQ(client->wait(), 0) << i << client->err();
  for (Hub* hub : {&first, &second, &world}) {
    EXPECT_EQ(hub->process->wait(), 0) << hub->name << hub->process->err();
  }

  const std::string bundle = text_of(folder(world) / "bundle.fsb");
  for (std::size_t i = 0; i < kModels.size(); ++i) {
    EXPECT_EQ(text_of(work_ / client_of(i) / "bundle.fsb"), bundle);
  }
  const auto clients = report_of(folder(world)).at("clients");
  ASSERT_EQ(clients.size(), 2U);
  for (const Hub* hub : {&first, &second}) {
    const auto region = report_of(folder(*hub));
    std::int64_t samples = 0;
    for (const auto& client : region.at("clients")) samples += client.at("samples").get<int>();
    const auto& member = clients.at(hub == &first ? 0 : 1);
    EXPECT_EQ(member.at("samples"), samples);
    EXPECT_EQ(member.at("architecture"), region.at("student").at("architecture"));
    EXPECT_EQ(member.at("test_accuracy"), region.at("student").at("test_accuracy"));
    EXPECT_EQ(
        run_program({"audit", "verify", (folder(*hub) / "upstream" / "audit.jsonl").string()}).code,
        0);
  }
}

// Killed between keeping the bundle that came down and saying so, it needs the other no more.
TEST_F(Regions, ABundleThatCameDownNeedsNobodyAbove) {
  Hub world = start_hub("world", 1);
  Hub region = start_region("region-0", 1, world);
  start_client_of(region, 0);
  ASSERT_TRUE(region.process->wait_for_file(folder(region) / "upstream", "bundle.fsb"))
      << region.process->err();
  region.process->signal(SIGKILL);
  region.process->wait();
  world.process->signal(SIGKILL);
  world.process->wait();
  start(region);
  EXPECT_EQ(region.process->wait(), 0) << region.process->err();
  EXPECT_EQ(clients_.at(0)->wait(), 0) << clients_.at(0)->err();
  EXPECT_EQ(text_of(work_ / client_of(0) / "bundle.fsb"),
            text_of(folder(region) / "upstream" / "bundle.fsb"));
  EXPECT_NE(text_of(work_ / client_of(0) / "bundle.fsb"),
            text_of(folder(region) / "bundle.fsb"));  // its own stays its own
}

// The round above is over: its own deadline was longer.
TEST_F(Regions, ARegionThatIsLateGetsTheBundleAllTheSame) {
  if (std::getenv("FEDSTILL_LONG") == nullptr) GTEST_SKIP() << "with FEDSTILL_LONG";
  Hub world = start_hub("world", 1);
  Hub punctual = start_region("region-0", 1, world), late = start_region("region-1", 1, world);
  start_client_of(punctual, 0);
  ASSERT_TRUE(world.process->wait_for_text(folder(world) / "events.jsonl", "\"message\":\"Upload"))
      << world.process->err();
  punctual.process->signal(SIGKILL);  // so that the coordinator above waits for it
  punctual.process->wait();
  ASSERT_TRUE(
      world.process->wait_for_text(folder(world) / "events.jsonl", "\"stage\":\"delivery\""));
  start_client_of(late, 1);
  EXPECT_EQ(late.process->wait(), 0) << late.process->err();
  start(punctual);
  for (Hub* hub : {&punctual, &world}) EXPECT_EQ(hub->process->wait(), 0) << hub->process->err();
  const std::string bundle = text_of(folder(world) / "bundle.fsb");
  for (auto& [i, client] : clients_) {
    EXPECT_EQ(client->wait(), 0) << i << client->err();
    EXPECT_EQ(text_of(work_ / client_of(i) / "bundle.fsb"), bundle);
  }
  ASSERT_EQ(report_of(folder(world)).at("clients").size(), 1U);
}

TEST_F(Regions, WhatIsWrongAboveIsToldBeforeAnybodyTrains) {
  std::vector<std::string> words{"coordinator",
                                 "--state",
                                 (work_ / "x").string(),
                                 "--identity",
                                 identity("hub").string(),
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--upstream",
                                 "127.0.0.1:1",
                                 "--upstream-identity",
                                 (work_ / "x").string()};
  append_settings(words);
  const Finished nobody = run_program(words);
  EXPECT_EQ(nobody.code, 4) << nobody.err;
  EXPECT_FALSE(std::filesystem::exists(work_ / "x"));
  const Hub lonely = start_hub(
      "region-0", 1,
      {"--upstream", "127.0.0.1:1", "--upstream-identity", identity("region-0").string()});
  EXPECT_TRUE(lonely.process->wait_for_text(folder(lonely) / "events.jsonl",
                                            "needed when the rounds here are over"));
}

TEST_F(Regions, SeveralRoundsAboveAreRefused) {
  Hub world = start_hub("world", 1, {"--set", "round.count=2"});
  Hub region = start_region("region-0", 1, world);
  start_client_of(region, 0);
  EXPECT_EQ(region.process->wait(), 3);
  EXPECT_THAT(region.process->err(), ::testing::HasSubstr("expected round.count = 1 above"));
  // Nothing is lost: without the other it hands out its own.
  region.more.erase(region.more.begin(), region.more.begin() + 4);
  start(region);
  EXPECT_EQ(region.process->wait(), 0) << region.process->err();
  EXPECT_EQ(clients_.at(0)->wait(), 0) << clients_.at(0)->err();
  EXPECT_EQ(text_of(work_ / client_of(0) / "bundle.fsb"), text_of(folder(region) / "bundle.fsb"));
}

}  // namespace
}  // namespace fedstill::tests
