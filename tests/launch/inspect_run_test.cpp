#include "launch/inspect_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "launch/input.h"
#include "launch/run_folder.h"
#include "model/decode_error.h"
#include "tests/launch/temp_folder.h"

namespace fedstill {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// A run that was cut off: what it remembers is all that counts.
class UnfinishedRun : public testing::Test {
 protected:
  RunFolder begin(const std::string& program, std::int64_t rounds = 1) {
    Job job;
    job.clients.count = 2;
    job.round.count = rounds;
    RunFolder run = RunFolder::create(path(), job);
    if (!program.empty()) run.remember("program", {{"name", program}});
    return run;
  }
  std::filesystem::path path() const { return temp_ / "run"; }
  json told() const {
    EXPECT_EQ(result_of_run(path()), std::nullopt);
    return inspect_unfinished(path()).data;
  }
  std::string text() const { return inspect_unfinished(path()).text; }

 private:
  tests::TempFolder temp_;
};

TEST_F(UnfinishedRun, TellsWhichClientsAreDone) {
  const RunFolder run = begin("simulate");
  run.remember("client-00", json::object());
  std::ofstream(run.client("client-01") / "body.checkpoint") << "x";
  EXPECT_EQ(told().at("stage"), "clients");
  EXPECT_EQ(told().at("clients").at(0),
            (json{{"name", "client-00"}, {"architecture", "lenet5"}, {"state", "done"}}));
  EXPECT_EQ(told().at("clients").at(1).at("state"), "training");
  EXPECT_EQ(told().at("status"), "success");
  EXPECT_THAT(text(), HasSubstr("stage clients, 1 of 2 clients done"));
  EXPECT_THAT(text(), HasSubstr("go on with: fedstill simulate --resume " + path().string()));
  std::ofstream(run.client("client-01") / "head.checkpoint") << "x";
  EXPECT_EQ(told().at("clients").at(1).at("state"), "training its head");
}

TEST_F(UnfinishedRun, TellsWhyItFailed) {
  begin("simulate");
  EXPECT_FALSE(told().contains("failure"));
  std::ofstream log(path() / "events.jsonl", std::ios::app);
  log << R"({"event":"failed","what":"[gate] not enough"})" << std::endl;
  EXPECT_EQ(told().at("failure"), "[gate] not enough");
  EXPECT_THAT(text(), HasSubstr("it failed: [gate] not enough"));
  log << R"({"event":"run_resumed"})" << std::endl;
  EXPECT_FALSE(told().contains("failure"));
  log << R"({"event":"failed","what":)" << std::endl;  // cut off
  EXPECT_FALSE(told().contains("failure"));
}

TEST_F(UnfinishedRun, TellsTheStageThatIsNext) {
  const RunFolder run = begin("simulate");
  for (const char* client : {"client-00", "client-01"}) run.remember(client, json::object());
  EXPECT_EQ(told().at("stage"), "teachers");
  std::ofstream(run.file("cache/pool.predictions")) << "damaged";
  EXPECT_EQ(told().at("stage"), "teachers");
  std::ofstream(run.file("student.checkpoint")) << "x";
  EXPECT_EQ(told().at("stage"), "student");
  run.remember("student", json::object());
  EXPECT_EQ(told().at("stage"), "bundle");
  run.remember("bundle", json::object());
  EXPECT_EQ(told().at("stage"), "report");
}

TEST_F(UnfinishedRun, TellsTheRound) {
  const RunFolder run = begin("simulate", 3);
  EXPECT_EQ(told().at("round"), 1);
  run.part("rounds/1").remember("round", json::object());
  run.part("rounds/2").remember("client-01", json::object());
  EXPECT_EQ(told().at("round"), 2);
  EXPECT_EQ(told().at("clients").at(1).at("state"), "done");
  EXPECT_EQ(told().at("clients").at(1).at("architecture"), "resnet8-wide");
  EXPECT_THAT(text(), HasSubstr("round 2 of 3, stage clients, 1 of 2 clients done"));
}

TEST_F(UnfinishedRun, SaysHowToGoOnWhoeverBeganIt) {
  {
    const RunFolder run = begin("simulate");
    run.remember("distillers", 2);
    EXPECT_THAT(told().at("go_on"), HasSubstr("fedstill mpi --run " + path().string()));
  }
  std::filesystem::remove_all(path());
  begin("");  // as a coordinator does
  EXPECT_EQ(told().at("go_on"), "the command that began it");
  EXPECT_THAT(text(), Not(HasSubstr("client-00")));
}

TEST_F(UnfinishedRun, OfFedAvgItTellsTheRoundsDone) {
  const RunFolder run = begin("fedavg");
  run.remember("averaging", {{"rounds", {1, 2, 3}}, {"sha256", "x"}});
  EXPECT_THAT(text(), HasSubstr("3 of 20 rounds done"));
  EXPECT_EQ(told().at("round"), 4);
  EXPECT_THAT(told().at("go_on"), HasSubstr("fedstill fedavg --resume"));
  run.remember("averaging", {{"rounds", 3}});
  EXPECT_THROW(inspect_unfinished(path()), DecodeError);
}

TEST_F(UnfinishedRun, AnotherFolderIsNone) {
  begin("simulate");
  EXPECT_THROW(result_of_run(path() / "state"), InputError);
  std::ofstream(path() / "report.json") << "{}";
  EXPECT_EQ(result_of_run(path()), path() / "report.json");
}

}  // namespace
}  // namespace fedstill
