#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "tests/pipeline/sites.h"

// A job of two rounds: in one process, on several ranks and over TLS.
namespace fedstill::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Rounds : public Sites {
 public:
  static void SetUpTestSuite() {
    for (const char* setting : {"distillation.student=lenet5", "round.epochs=2", "round.count=2"}) {
      settings_.insert(settings_.end(), {"--set", setting});
    }
    Sites::SetUpTestSuite();
  }
  static void TearDownTestSuite() {
    Sites::TearDownTestSuite();
    settings_.clear();
  }

 protected:
  static std::vector<std::string> job(const std::filesystem::path& run,
                                      const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = settings_;
    all.insert(all.end(), more.begin(), more.end());
    return small_job(run, all);
  }
  // Whether the run was still under way then.
  static bool kill_at(const std::string& moment, const std::filesystem::path& run) {
    Process process(job(run, {"--workers", "2"}));
    process.wait_for_text(run / "events.jsonl", moment);
    process.signal(SIGKILL);
    return process.wait() == -SIGKILL;
  }
  static void resume_and_compare(const std::filesystem::path& run) {
    const Finished resumed = run_program({"simulate", "--resume", run.string()});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(student_of(run), student_of(reference()));
    EXPECT_EQ(report_of(run).at("rounds"), report_of(reference()).at("rounds"));
  }
};

TEST_F(Rounds, TheReportShowsThemAll) {
  const json report = report_of(reference()), rounds = report.at("rounds");
  ASSERT_EQ(rounds.size(), 2u);
  for (std::size_t i = 0; i < kModels.size(); ++i) {
    EXPECT_EQ(rounds[0].at("clients")[i].at("architecture"), kModels[i]);
    EXPECT_EQ(rounds[1].at("clients")[i].at("architecture"), "lenet5");
    EXPECT_EQ(rounds[1].at("clients")[i].at("test_accuracy"),
              report.at("clients")[i].at("test_accuracy"));
  }
  EXPECT_EQ(rounds[1].at("student").at("sha256"), student_of(reference()));
  EXPECT_NE(rounds[0].at("student").at("sha256"), student_of(reference()));
  EXPECT_EQ(rounds[1].at("bundle").at("sha256"), report.at("bundle").at("sha256"));
  EXPECT_TRUE(std::filesystem::exists(reference() / "rounds/1/bundle.fsb"));
  EXPECT_THAT(text_of(reference() / "report.html"), HasSubstr("\"rounds\""));
}

TEST_F(Rounds, InspectTellsWhatALessonHolds) {
  const auto file = (reference() / "rounds/1/lesson.safetensors").string();
  const json lesson = run_json({"inspect", file, "--json"});
  EXPECT_EQ(lesson.at("kind"), "lesson");
  EXPECT_TRUE(lesson.at("outputs").contains("logits"));
  const json split = run_json({"inspect", (reference() / "split.json").string(), "--json"});
  const json& labels = lesson.at("soft_labels");
  EXPECT_EQ(labels.at("images"), split.at("pool"));
  const auto shares = labels.at("class_shares").get<std::vector<double>>();
  EXPECT_EQ(shares.size(), labels.at("classes"));
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-3);
  EXPECT_GT(labels.at("mean_bits"), 0.0);
  EXPECT_LE(labels.at("mean_bits"), std::log2(static_cast<double>(shares.size())));
  EXPECT_THAT(run_program({"inspect", file}).out, HasSubstr("mean entropy"));
}

TEST_F(Rounds, TheFirstIsAJobOfOne) {
  const auto run = fresh("one");
  const Finished done =
      run_program(job(run, {"--set", "round.count=1", "--clients-from", reference().string()}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(report_of(reference()).at("rounds")[0].at("student").at("sha256"), student_of(run));
  EXPECT_EQ(text_of(run / "clients/client-01/update.safetensors"),
            text_of(reference() / "rounds/1/clients/client-01/update.safetensors"));
}

TEST_F(Rounds, AKillInAnyOfThemAndAResumeGiveTheSameStudent) {
  int struck = 0;
  for (const char* moment :
       {"\"round\":1,\"stage\":\"bundle\"", "\"round\":2,\"stage\":\"student\""}) {
    SCOPED_TRACE(moment);
    const auto run = fresh("kill" + std::to_string(struck));
    if (kill_at(moment, run)) ++struck;
    resume_and_compare(run);
  }
  EXPECT_GE(struck, 1);
}

TEST_F(Rounds, ADamagedLessonIsNotUsed) {
  const auto run = fresh("damaged"), lesson = run / "rounds/1/lesson.safetensors";
  ASSERT_TRUE(kill_at("\"round\":2,\"stage\":\"clients\"", run));
  const std::string good = text_of(lesson);
  std::string bytes = good;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(lesson, std::ios::binary) << bytes;
  const Finished resumed = run_program({"simulate", "--resume", run.string()});
  EXPECT_EQ(resumed.code, 5);
  EXPECT_THAT(resumed.err, HasSubstr("lesson.safetensors: found sha256"));
  std::ofstream(lesson, std::ios::binary) << good;
  resume_and_compare(run);
}

TEST_F(Rounds, ManySitesMakeTheSameStudentThroughKillsInTheSecond) {
  start_coordinator();
  start_clients();
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"round\":2,\"stage\":\"clients\""))
      << coordinator_->err();
  const auto first = state() / "rounds" / "1" / "bundle.fsb";
  for (std::size_t i = 0; i < kModels.size(); ++i) {  // of use from now on
    EXPECT_TRUE(clients_[i]->wait_for_file(state_of(i), "bundle.fsb"));
    EXPECT_EQ(text_of(state_of(i) / "bundle.fsb"), text_of(first));
  }
  clients_[1]->signal(SIGKILL);
  clients_[1]->wait();
  kill_coordinator();
  start_coordinator();
  start_client(1);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"round\":2,\"stage\":\"student\""))
      << coordinator_->err();
  kill_coordinator();
  start_coordinator();
  expect_the_same_student();
}

TEST_F(Rounds, AClientMayComeLateOrKeepItsModel) {
  start_coordinator({"--set", "clients.count=2"});
  start_client(0);
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"message\":\"Upload\""));
  clients_[0]->signal(SIGKILL);  // it leaves for good, after its part of the first round
  clients_[0]->wait();
  clients_.erase(0);
  start_client(1, {"--mode", "predictions"});
  ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"round\":2,\"stage\":\"clients\""))
      << coordinator_->err();
  start_client(2);
  for (auto& [i, client] : clients_) EXPECT_EQ(client->wait(), 0) << i << client->err();
  EXPECT_EQ(ask("exclude", client_of(0)).code, 0);  // or it is waited for
  EXPECT_EQ(coordinator_->wait(), 0) << coordinator_->err();
  const json rounds = report_of(state()).at("rounds");
  const auto client = [&](std::size_t round, std::size_t i) {
    return rounds[round].at("clients")[i];
  };
  EXPECT_EQ(client(0, 0).at("name"), client_of(0));
  EXPECT_EQ(client(0, 1).at("name"), client_of(1));
  EXPECT_EQ(client(1, 0).at("name"), client_of(1));
  EXPECT_EQ(client(1, 0).at("mode"), "predictions");
  EXPECT_EQ(client(1, 1).at("name"), client_of(2));
  EXPECT_EQ(client(1, 1).at("architecture"), "lenet5");
  EXPECT_EQ(text_of(work_ / client_of(2) / "bundle.fsb"), text_of(state() / "bundle.fsb"));
}

}  // namespace
}  // namespace fedstill::tests
