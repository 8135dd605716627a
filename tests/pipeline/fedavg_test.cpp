#include <gmock/gmock.h>

#include <fstream>
#include <list>
#include <map>

#include "tests/pipeline/small_job.h"
#include "tests/support/environment.h"

// The baseline on the data and clients of a job, with the real program.
namespace fedstill::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::vector<std::string> small_fedavg(const std::filesystem::path& run,
                                      const std::vector<std::string>& more = {}) {
  std::vector<std::string> words =
      small_job(run, {"--set", "averaging.epochs=1", "--set", "averaging.rounds=8", "--quiet"});
  words.front() = "fedavg";
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json result_of(const std::filesystem::path& run) {
  return json::parse(text_of(run / "fedavg.json"));
}
std::string model_of(const std::filesystem::path& run) {
  return result_of(run).at("averaged").at("sha256");
}

// Every test compares with one uninterrupted run.
class FedAvgCommandTest : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    const Finished done = run_program(small_fedavg(reference(), {"--workers", "1", "--json"}));
    ASSERT_EQ(done.code, 0) << done.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

 protected:
  static std::filesystem::path reference() { return *folder_ / "reference"; }
  static inline std::unique_ptr<TempFolder> folder_;
};

TEST_F(FedAvgCommandTest, SaysWhatEveryRoundWasWorthAndLeavesTheModel) {
  const auto run = reference();
  const json result = result_of(run);
  ASSERT_EQ(result.at("rounds").size(), 8U);
  EXPECT_EQ(result.at("rounds").back().at("test_accuracy"),
            result.at("averaged").at("test_accuracy"));
  EXPECT_GT(result.at("averaged").at("test_accuracy"), 0.5);  // of four classes
  EXPECT_THAT(text_of(run / "accuracy.svg"), HasSubstr("rounds</text>"));
  const json told =
      run_json({"evaluate", (run / "model.safetensors").string(), "--json"});  // of the same images
  EXPECT_EQ(told.at("test_accuracy"), result.at("averaged").at("test_accuracy"));
  EXPECT_EQ(told.at("normalisation"), "run");
  for (const char* file : {"model.safetensors", "fedavg.json"}) {
    const Finished seen = run_program({"inspect", (run / file).string()});
    EXPECT_EQ(seen.code, 0) << seen.err;
  }
}

TEST_F(FedAvgCommandTest, AKillAResumeAndOtherWorkersGiveTheSameModel) {
  const auto run = *folder_ / "killed";
  Process process(small_fedavg(run, {"--workers", "2"}));
  ASSERT_TRUE(process.wait_for_text(run / "events.jsonl", "\"round\":3,")) << process.err();
  process.signal(SIGKILL);
  process.wait();
  const Finished resumed =
      run_program({"fedavg", "--resume", run.string(), "--workers", "1", "--quiet"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(model_of(run), model_of(reference()));
  // Once more: there is nothing left to do, and nothing is written anew.
  const std::string told = text_of(run / "fedavg.json");
  EXPECT_EQ(run_program({"fedavg", "--resume", run.string(), "--quiet"}).code, 0);
  EXPECT_EQ(text_of(run / "fedavg.json"), told);
}

TEST_F(FedAvgCommandTest, OtherSettingsGiveOtherModels) {
  const std::string all = model_of(reference());
  for (const char* setting : {"averaging.per_round=2", "averaging.weighting=uniform",
                              "averaging.server_learning_rate=0.5", "averaging.model=mlp"}) {
    const auto run = *folder_ / setting;
    ASSERT_EQ(run_program(small_fedavg(run, {"--set", setting})).code, 0) << setting;
    EXPECT_NE(model_of(run), all) << setting;
  }
}

TEST_F(FedAvgCommandTest, ADamagedRoundIsNotUsed) {
  const auto run = *folder_ / "damaged";
  std::filesystem::copy(reference(), run, std::filesystem::copy_options::recursive);
  std::ofstream(run / "model.safetensors", std::ios::app) << 'x';
  const Finished resumed = run_program({"fedavg", "--resume", run.string(), "--quiet"});
  EXPECT_EQ(resumed.code, 5);
  EXPECT_THAT(resumed.err, HasSubstr("model.safetensors"));
}

TEST_F(FedAvgCommandTest, RefusesWhatCannotBeAndLeavesNothing) {
  for (const auto& [setting, message] : std::vector<std::pair<std::string, std::string>>{
           {"averaging.per_round=4", "clients.count is 3"},
           {"averaging.model=cnn4", "did you mean"},
           {"clients.liars=1", "clients.liars"}}) {
    const auto run = *folder_ / "refused";
    const Finished done = run_program(small_fedavg(run, {"--set", setting}));
    EXPECT_EQ(done.code, 3) << setting;
    EXPECT_THAT(done.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(run)) << setting;
  }
}

TEST_F(FedAvgCommandTest, ARunBelongsToOneCommand) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"simulate", "--resume", reference().string()},
                                             {"mpi", "--run", reference().string()}}) {
    const Finished other = run_program(words);
    EXPECT_EQ(other.code, 3) << words.front();
    EXPECT_THAT(other.err, HasSubstr("fedstill fedavg --resume"));
  }
}

TEST_F(FedAvgCommandTest, RanksShareFedAvgAndNotSimulate) {
  const std::map<std::string, std::string> of_mpirun{{"OMPI_COMM_WORLD_SIZE", "2"}},
      of_srun{{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}};
  for (const auto& variables : {of_mpirun, of_srun}) {
    std::list<Variable> set;
    for (const auto& [name, value] : variables) set.emplace_back(name.c_str(), value);
    const Finished done = run_program(small_job(*folder_ / "ranks"));
    EXPECT_EQ(done.code, 2);
    EXPECT_THAT(done.err, HasSubstr("found 2 ranks"));
  }
}

// Each of them would train the whole job.
TEST_F(FedAvgCommandTest, ProcessesOfSrunThatCannotMeetAreRefused) {
  const Variable step("SLURM_STEP_NUM_TASKS", "2"), place("SLURM_PROCID", "1");
  const auto run = *folder_ / "strangers";
  for (const char* command : {"simulate", "fedavg", "mpi"}) {
    std::vector<std::string> words = small_job(run);
    words.front() = command;
    const Finished done = run_program(words);
    EXPECT_EQ(done.code, 2) << command;
    EXPECT_THAT(done.err, HasSubstr("srun --mpi=pmix")) << command;
    EXPECT_FALSE(std::filesystem::exists(run)) << command;
  }
}

TEST_F(FedAvgCommandTest, WhatSlurmStartsAloneIsNotRefused) {
  using Variables = std::map<std::string, std::string>;
  const Variables batch{{"SLURM_NTASKS", "2"}, {"SLURM_PROCID", "0"}},
      alone{{"SLURM_STEP_NUM_TASKS", "1"}},
      shell{{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PTY_PORT", "40000"}};
  for (const Variables& variables : {batch, alone, shell}) {
    std::list<Variable> set;
    for (const auto& [name, value] : variables) set.emplace_back(name.c_str(), value);
    const Finished done =
        run_program(small_fedavg(*folder_ / "alone", {"--set", "averaging.rounds=1"}));
    EXPECT_EQ(done.code, 0) << done.err;
    std::filesystem::remove_all(*folder_ / "alone");
  }
}

}  // namespace
}  // namespace fedstill::tests
