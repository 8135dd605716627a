#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/pipeline/small_job.h"

namespace fedstill::tests {
namespace {

using ::testing::HasSubstr;

// Where a run is struck: as soon as this file holds this text.
struct Moment {
  const char* name;
  const char* file;
  const char* text;
};

class Interruption : public Pipeline {
 protected:
  // True if the run was killed in that moment. The last moments are short: on a busy machine a run
  // may end before this test has seen them, and is begun again.
  static bool strike(const std::filesystem::path& run, const Moment& moment) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      std::filesystem::remove_all(run);
      Process process(small_job(run, {"--workers", "2"}));
      if (!process.wait_for_text(run / moment.file, moment.text)) continue;
      process.signal(SIGKILL);
      if (process.wait() == -SIGKILL) return true;
    }
    return false;
  }
  // Told to stop while the student learns: the steps it kept. A signal between two epochs shows
  // nothing, and the run is begun again.
  static std::int64_t steps_when_told(const std::filesystem::path& run,
                                      const std::vector<std::string>& job) {
    std::int64_t steps = 0;
    for (int attempt = 0; attempt < 5 && steps % kLongEpoch == 0; ++attempt) {
      std::filesystem::remove_all(run);
      Process process(job);
      if (!process.wait_for_text(run / "metrics.csv", "student,student,0,")) return 0;
      process.signal(SIGTERM);
      EXPECT_EQ(process.wait(), 9) << process.err();
      steps = steps_of(run / "student.checkpoint");
    }
    return steps;
  }
  static void resume_and_compare(const std::filesystem::path& run) {
    const Finished resumed = run_program({"simulate", "--resume", run.string()});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(student_of(run), student_of(reference()));
    EXPECT_EQ(report_of(run).at("bundle").at("sha256"),
              report_of(reference()).at("bundle").at("sha256"));
    for (const auto& client : report_of(run).at("clients")) {
      EXPECT_GT(client.at("images_per_second"), 0.0) << client.at("name");
    }
  }
};

TEST_F(Interruption, AKillAtAnyPointAndAResumeGiveTheSameStudent) {
  const Moment moments[] = {{"start", "events.jsonl", "stage_started"},
                            {"body", "metrics.csv", "client,client-02,2,"},
                            {"head", "metrics.csv", "head,"},
                            {"some", "events.jsonl", "client_finished"},
                            {"teach", "events.jsonl", "\"teachers\""},
                            {"student", "metrics.csv", "student,student,2,"},
                            {"bundle", "events.jsonl", "\"stage\":\"bundle\""}};
  for (const auto& moment : moments) {
    SCOPED_TRACE(moment.name);
    const auto run = fresh(std::string("kill-") + moment.name);
    ASSERT_TRUE(strike(run, moment));
    resume_and_compare(run);
  }
}

TEST_F(Interruption, CtrlCEndsWithItsOwnCodeAndAHint) {
  const auto run = fresh("ctrl-c");
  Process process(small_job(run, {"--set", "clients.epochs=400"}));
  ASSERT_TRUE(process.wait_for_text(run / "metrics.csv", ",50,")) << process.err();
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 9);
  EXPECT_THAT(process.err(), HasSubstr("--resume " + run.string()));
  EXPECT_THAT(text_of(run / "events.jsonl"), HasSubstr("interrupted"));
  const nlohmann::json told = run_json({"inspect", run.string(), "--json"});
  EXPECT_EQ(told.at("stage"), "clients");
  EXPECT_EQ(told.at("go_on"), "fedstill simulate --resume " + run.string());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run / "clients")) {
    if (entry.path().filename() != "body.checkpoint") continue;
    const Finished seen = run_program({"inspect", entry.path().string()});
    EXPECT_EQ(seen.code, 0) << seen.err;
    EXPECT_THAT(seen.out, HasSubstr(" done, "));  // 1 epoch, or more
  }
}

TEST_F(Interruption, CtrlCWithinAnEpochOfTheStudentLosesNothing) {
  const auto whole = fresh("long-epochs"), run = fresh("long-epochs-stopped");
  ASSERT_EQ(run_program(small_job(whole, long_epochs())).code, 0);
  std::vector<std::string> job = small_job(run, long_epochs());
  job.insert(job.end(), {"--clients-from", whole.string()});
  EXPECT_GT(steps_when_told(run, job), kLongEpoch);  // what was done when it was told
  ASSERT_EQ(run_program({"simulate", "--resume", run.string()}).code, 0);
  EXPECT_EQ(student_of(run), student_of(whole));
  EXPECT_EQ(report_of(run).at("student").at("loss_curve"),
            report_of(whole).at("student").at("loss_curve"));
}

TEST_F(Interruption, TwoProcessesCannotUseOneRun) {
  const auto run = fresh("twice");
  Process first(small_job(run, {"--set", "clients.epochs=400"}));
  ASSERT_TRUE(first.wait_for_text(run / "metrics.csv", "client,")) << first.err();
  const Finished second = run_program({"simulate", "--resume", run.string()});
  EXPECT_EQ(second.code, 6);
  EXPECT_THAT(second.err, HasSubstr("another fedstill is using this run folder"));
  first.signal(SIGKILL);
  first.wait();
}

// What a resumed run takes from its folder is what was recorded, or nothing: neither made again
// behind the user's back nor used.
TEST_F(Interruption, AChangedFileOfAFinishedPartIsNotUsed) {
  const char* files[] = {"clients/client-01/update.safetensors", "student.safetensors",
                         "bundle.fsb"};
  for (const char* file : files) {
    SCOPED_TRACE(file);
    const auto run = fresh("changed-" + std::filesystem::path(file).filename().string());
    std::filesystem::copy(reference(), run, std::filesystem::copy_options::recursive);
    std::string bytes = text_of(run / file);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);  // a weight or an archive's end: still read
    std::ofstream(run / file, std::ios::binary) << bytes;
    const Finished resumed = run_program({"simulate", "--resume", run.string()});
    EXPECT_EQ(resumed.code, 5);
    EXPECT_THAT(resumed.err, HasSubstr((run / file).string() + ": found sha256"));
    std::filesystem::remove(run / "report.json");
    std::filesystem::copy_file(reference() / file, run / file,
                               std::filesystem::copy_options::overwrite_existing);
    resume_and_compare(run);
  }
}

TEST_F(Interruption, DamagedPredictionsAreMadeAgain) {
  const auto run = fresh("changed-predictions");
  std::filesystem::copy(reference(), run, std::filesystem::copy_options::recursive);
  for (const char* name : {"cache/pool.predictions", "cache/test.predictions"}) {
    const std::string good = text_of(run / name);
    std::string bytes = good;
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::ofstream(run / name, std::ios::binary) << bytes;
    resume_and_compare(run);
    EXPECT_EQ(text_of(run / name), good);
  }
}

TEST_F(Interruption, ResumingAFinishedRunChangesNothing) {
  const auto run = fresh("finished");
  std::filesystem::copy(reference(), run, std::filesystem::copy_options::recursive);
  const std::string report = text_of(run / "report.json");
  std::filesystem::remove(run / "report.html");
  resume_and_compare(run);
  EXPECT_EQ(text_of(run / "report.json"), report);
  EXPECT_EQ(text_of(run / "report.html"), text_of(reference() / "report.html"));
}

}  // namespace
}  // namespace fedstill::tests
