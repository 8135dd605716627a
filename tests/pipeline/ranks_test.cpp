#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <set>
#include <sstream>

#include "tests/pipeline/gpu.h"
#include "tests/pipeline/small_job.h"

// One job on several ranks, started by the real mpiexec.
namespace fedstill::tests {
namespace {

using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Ranks : public Pipeline {
 protected:
  static std::unique_ptr<Process> start(int ranks, const std::filesystem::path& run,
                                        const std::vector<std::string>& more = {},
                                        const std::vector<std::string>& through = {}) {
    std::vector<std::string> job = small_job(run, more);
    job.front() = "mpi";
    return start_program(ranks, job, through);
  }
  static std::unique_ptr<Process> start_program(int ranks, const std::vector<std::string>& job,
                                                const std::vector<std::string>& through = {}) {
    std::vector<std::string> words{"-n", std::to_string(ranks), "--oversubscribe", "--bind-to",
                                   "none"};
    words.insert(words.end(), through.begin(), through.end());
    words.push_back(FEDSTILL_PROGRAM);
    words.insert(words.end(), job.begin(), job.end());
    return std::make_unique<Process>(words, FEDSTILL_MPIEXEC);
  }
  static void run(int ranks, const std::filesystem::path& folder,
                  const std::vector<std::string>& more = {}) {
    const auto job = start(ranks, folder, more);
    EXPECT_EQ(job->wait(), 0) << job->err();
  }
  // Where a job of two ranks is struck: as soon as this file holds this text.
  enum class Struck { kFirstRank, kLastRank, kAll };
  struct Moment {
    const char* file;
    const char* text;
    Struck who;
    int signal;
    std::int64_t more_steps_than;  // the student's checkpoint has; below 0: there is none yet
  };
  static void strike(const std::filesystem::path& folder, const Moment& moment) {
    const auto job = start(2, folder, long_epochs());
    ASSERT_TRUE(job->wait_for_text(folder / moment.file, moment.text)) << job->err();
    if (moment.more_steps_than >= 0) {
      ASSERT_TRUE(job->wait_for_file(folder, "student.checkpoint")) << job->err();
    }
    const auto ranks = job->children();
    ASSERT_EQ(ranks.size(), 2U);
    ::kill(moment.who == Struck::kAll         ? job->pid()
           : moment.who == Struck::kFirstRank ? ranks.front()
                                              : ranks.back(),
           moment.signal);
    EXPECT_TRUE(job->ends_within(kEnd)) << job->err();  // nobody waits for who is gone
    EXPECT_EQ(job->wait(), moment.signal == SIGKILL ? 128 + SIGKILL : 9);  // mpiexec's, or ours
    const std::string err = job->err(), words = "stopping, as it was told to or a rank is gone; ";
    const auto said = err.find(words + "go on with the same command and --run " + folder.string());
    ASSERT_NE(said, std::string::npos) << err;
    EXPECT_EQ(err.find(words, said + 1), std::string::npos) << err;  // one rank says it for all
  }
  // What happened in the run after its first so many bytes, with that name.
  static std::vector<nlohmann::json> events_of(const std::filesystem::path& folder,
                                               const std::string& name, std::size_t after = 0) {
    std::istringstream lines(text_of(folder / "events.jsonl").substr(after));
    std::vector<nlohmann::json> found;
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json event = nlohmann::json::parse(line);
      if (event.at("event") == name) found.push_back(std::move(event));
    }
    return found;
  }
  static std::int64_t sum(const std::vector<std::int64_t>& numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
  }
  // How many answers each rank made about the images of the pool.
  static std::vector<std::int64_t> answers_by_rank(const std::filesystem::path& folder) {
    for (const auto& event : events_of(folder, "teachers_asked")) {
      if (event.at("images") == "pool") return event.at("answers_by_rank");
    }
    return {};
  }
  // Goes on with a job of two ranks that was struck, and sees that nothing is done anew: finished
  // clients, asked teachers and the student's steps up to its checkpoint.
  static void go_on(const std::filesystem::path& folder) {
    std::set<std::string> finished;
    for (const char* client : {"client-00", "client-01", "client-02"}) {
      if (std::filesystem::exists(folder / "state" / (std::string(client) + ".json")))
        finished.insert(client);
    }
    const bool asked = events_of(folder, "teachers_asked").size() == 2;
    const auto checkpoint = folder / "student.checkpoint";
    const std::int64_t steps = std::filesystem::exists(checkpoint) ? steps_of(checkpoint) : 0;
    const auto other = folder / "ranks" / "1";
    const std::size_t mine = text_of(folder / "events.jsonl").size(),
                      theirs = text_of(other / "events.jsonl").size();
    run(2, folder, long_epochs());  // refused if a rank were left
    std::size_t trained = 0;
    for (const auto& [place, after] : {std::pair(folder, mine), std::pair(other, theirs)}) {
      for (const auto& event : events_of(place, "client_started", after)) {
        EXPECT_FALSE(finished.contains(event.at("client"))) << event;
        ++trained;
      }
    }
    EXPECT_EQ(trained, 3 - finished.size());
    for (const auto& event : events_of(folder, "teachers_asked", mine)) {
      EXPECT_TRUE(!asked || sum(event.at("answers_by_rank")) == 0) << event;
    }
    const auto students = events_of(folder, "student_started", mine);
    ASSERT_EQ(students.size(), 1U);
    EXPECT_EQ(students.front().at("step"), steps + 1);
  }
  static constexpr std::chrono::seconds kEnd{15};  // ranks that may still wait do so for 20
  static inline const std::vector<std::string> kOneDistiller{"--set", "distillation.ranks=1"};
};

TEST_F(Ranks, WithOneDistillerTheStudentIsThatOfOneProcess) {
  const auto folder = fresh("ranks-one");
  run(3, folder, kOneDistiller);
  EXPECT_EQ(student_of(folder), student_of(reference()));
  for (const char* cache : {"cache/pool.predictions", "cache/test.predictions"}) {
    EXPECT_EQ(text_of(folder / cache), text_of(reference() / cache)) << cache;
  }
  EXPECT_EQ(report_of(folder).at("bundle").at("sha256"),
            report_of(reference()).at("bundle").at("sha256"));
  const auto answers = answers_by_rank(folder);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(sum(answers), 3 * 400);
  EXPECT_GT(answers[1] + answers[2], 0);  // in whole teachers: the pool is one block
}

// Of a pool of several blocks, so that teachers are cut.
TEST_F(Ranks, FewerTeachersThanRanksAreSharedAndTheCacheStaysTheSame) {
  const std::vector<std::string> two{"--set", "clients.count=2",
                                     "--set", "clients.models=mlp,resnet8",
                                     "--set", "data.pool=2700",
                                     "--set", "distillation.epochs=1",
                                     "--set", "distillation.student=lenet5",
                                     "--set", "distillation.ranks=1"};
  const auto alone = fresh("ranks-few-alone"), folder = fresh("ranks-few");
  ASSERT_EQ(run_program(small_job(alone, two)).code, 0);
  std::vector<std::string> workers = two;
  workers.insert(workers.end(), {"--set", "run.workers=2"});
  run(4, folder, workers);
  for (const char* cache : {"cache/pool.predictions", "cache/test.predictions"}) {
    EXPECT_EQ(text_of(folder / cache), text_of(alone / cache)) << cache;
  }
  EXPECT_EQ(student_of(folder), student_of(alone));
  const auto answers = answers_by_rank(folder);
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(sum(answers), 2 * 2700);
  EXPECT_THAT(answers, Each(Gt(0)));
}

TEST_F(Ranks, TwoRoundsAreThoseOfOneProcess) {
  const std::vector<std::string> two{"--set", "round.count=2",
                                     "--set", "round.epochs=1",
                                     "--set", "distillation.student=lenet5",
                                     "--set", "distillation.ranks=1"};
  const auto alone = fresh("ranks-rounds-alone"), folder = fresh("ranks-rounds");
  ASSERT_EQ(run_program(small_job(alone, two)).code, 0);
  run(2, folder, two);
  EXPECT_EQ(student_of(folder), student_of(alone));
  EXPECT_EQ(report_of(folder).at("rounds"), report_of(alone).at("rounds"));
}

TEST_F(Ranks, OneRankTakesTheFlagsOfSimulateAndMakesItsStudent) {
  const std::vector<std::string> flags{"--seed", "3", "--workers", "1"};
  const auto alone = fresh("ranks-flags-alone"), folder = fresh("ranks-flags");
  ASSERT_EQ(run_program(small_job(alone, flags)).code, 0);
  run(1, folder, flags);
  EXPECT_EQ(student_of(folder), student_of(alone));
  EXPECT_EQ(report_of(folder).at("job").at("run").at("workers"), 1);
  const auto other = start(1, folder, {"--seed", "4"});
  EXPECT_EQ(other->wait(), 3);
  EXPECT_THAT(other->err(), HasSubstr("holds another job"));
  const auto printed = start(2, folder, {"--print-job", "--json"});
  EXPECT_EQ(printed->wait(), 0) << printed->err();
  EXPECT_EQ(nlohmann::json::parse(printed->out()).at("job").at("run").at("seed"), 0);
}

TEST_F(Ranks, AFinishedJobIsToldAgain) {
  const auto folder = fresh("ranks-again");
  const std::vector<std::string> brief{"--set", "distillation.epochs=1"};
  run(2, folder, brief);
  const std::string report = text_of(folder / "report.json");
  run(2, folder, brief);
  EXPECT_EQ(text_of(folder / "report.json"), report);
  const Finished alone = run_program({"simulate", "--resume", folder.string()});
  EXPECT_EQ(alone.code, 3);
  EXPECT_THAT(alone.err, HasSubstr("go on with mpirun -np 2 fedstill mpi --run"));
}

TEST_F(Ranks, TheOthersNeedNothingOfTheRunFolderOfTheFirst) {
  if (std::system("unshare -m true 2>/dev/null") != 0) GTEST_SKIP() << "may not mount here";
  const auto folder = fresh("ranks-own-disks");
  std::filesystem::create_directories(folder);
  const auto job = start(3, folder, kOneDistiller,
                         {"sh", "-c",
                          "[ $OMPI_COMM_WORLD_RANK != 0 ] || exec \"$@\"\n"
                          "exec unshare -m sh -c 'mount -t tmpfs own \"$0\" && exec \"$@\"' " +
                              folder.string() + " \"$@\"",
                          "sh"});
  EXPECT_EQ(job->wait(), 0) << job->err();
  EXPECT_EQ(student_of(folder), student_of(reference()));
  EXPECT_FALSE(std::filesystem::exists(folder / "ranks"));
  EXPECT_THAT(text_of(folder / "events.jsonl"), HasSubstr("client_arrived"));
}

TEST_F(Ranks, CoordinatorsTrainNoClientsAndTheOthersNoStudent) {
  const auto folder = fresh("ranks-coordinators");
  run(3, folder, {"--set", "ranks.coordinators=1"});
  EXPECT_EQ(student_of(folder), student_of(reference()));
  EXPECT_THAT(text_of(folder / "events.jsonl"), Not(HasSubstr("client_started")));
  EXPECT_EQ(answers_by_rank(folder), (std::vector<std::int64_t>{3 * 400, 0, 0}));
  const auto all = start(2, fresh("ranks-no-clients"), {"--set", "ranks.coordinators=2"});
  EXPECT_EQ(all->wait(), 3);
  EXPECT_THAT(all->err(), HasSubstr("ranks.coordinators = 2 of 2 ranks leaves none"));
}

TEST_F(Ranks, AllTogetherMakeAStudentAsGood) {
  const auto folder = fresh("ranks-all");
  run(2, folder);
  const double together = report_of(folder).at("student").at("test_accuracy"),
               alone = report_of(reference()).at("student").at("test_accuracy");
  EXPECT_NEAR(together, alone, 0.06);  // a thousand test images
  EXPECT_NE(student_of(folder), student_of(reference()));
}

TEST_F(Ranks, TheStudentsSettingsReachEveryRank) {
  const std::vector<std::string> brief{"--set", "distillation.epochs=1",
                                       "--set", "distillation.accumulate=2",
                                       "--set", "distillation.batch=25"};
  std::set<std::string> students;
  const char* settings[] = {"ranks.bf16_gradients=false", "ranks.bf16_gradients=true",
                            "ranks.batch_norm=shared",  // ends only if all ranks measure together
                            "distillation.accumulate=1"};
  for (const char* setting : settings) {
    std::vector<std::string> more = brief;
    more.insert(more.end(), {"--set", setting});
    const auto folder = fresh("ranks-settings" + std::to_string(students.size()));
    run(2, folder, more);
    EXPECT_TRUE(students.insert(student_of(folder)).second) << setting;
  }
}

TEST_F(Ranks, AKilledRankEndsTheJobAndTheSameCommandGoesOn) {
  const auto uninterrupted = fresh("ranks-whole");
  run(2, uninterrupted, long_epochs());
  constexpr const char* kStudent = "student,student,0,";
  const Moment moments[] = {
      {"metrics.csv", "client,", Struck::kLastRank, SIGKILL, -1},
      {"events.jsonl", "\"teachers\"", Struck::kFirstRank, SIGKILL, -1},
      {"metrics.csv", kStudent, Struck::kLastRank, SIGKILL, 0},
      {"metrics.csv", kStudent, Struck::kAll, SIGUSR1, kLongEpoch}};  // nothing is lost when told
  int number = 0;
  for (const auto& moment : moments) {
    SCOPED_TRACE(moment.text + std::to_string(moment.signal));
    const auto folder = fresh("ranks-killed" + std::to_string(number++));
    ASSERT_NO_FATAL_FAILURE(strike(folder, moment));
    if (moment.more_steps_than >= 0) {
      const auto checkpoint = folder / "student.checkpoint";
      for (int again = 0; again < 4 && steps_of(checkpoint) == moment.more_steps_than; ++again) {
        std::filesystem::remove_all(folder);  // struck between two epochs: nothing to see
        ASSERT_NO_FATAL_FAILURE(strike(folder, moment));
      }
      EXPECT_GT(steps_of(checkpoint), moment.more_steps_than);
    }
    ASSERT_NO_FATAL_FAILURE(go_on(folder));
    EXPECT_EQ(student_of(folder), student_of(uninterrupted));
  }
}

TEST_F(Ranks, WithoutAGpuTheyAreRefusedBeforeThereIsAFolder) {
  if (has_gpu()) GTEST_SKIP() << "a GPU is here";
  const auto folder = fresh("ranks-no-gpu");
  const auto job = start(2, folder, {"--device", "cuda"});
  EXPECT_EQ(job->wait(), 13);
  EXPECT_THAT(job->err(), HasSubstr("fedstill: [device] "));
  EXPECT_FALSE(std::filesystem::exists(folder));
}

// With one GPU they share it, and gradients go by way of the host.
TEST_F(Ranks, TheWholeWayOnGpus) {
  if (!has_gpu()) GTEST_SKIP() << "no GPU is here";
  const auto folder = fresh("ranks-on-gpus");
  run(2, folder, {"--device", "cuda"});
  const auto there = report_of(folder), here = report_of(reference());
  EXPECT_THAT(there.at("machine").at("device").get<std::string>(), StartsWith("cuda:"));
  EXPECT_NEAR(there.at("student").at("test_accuracy").get<double>(),
              here.at("student").at("test_accuracy").get<double>(), 0.1);
}

TEST_F(Ranks, StoppedInOrderItSaysHowToGoOn) {
  const auto folder = fresh("ranks-stopped");
  const std::vector<std::string> longer{"--set", "clients.epochs=150"};
  auto job = start(2, folder, longer);
  ASSERT_TRUE(job->wait_for_text(folder / "metrics.csv", ",50,")) << job->err();
  job->signal(SIGUSR1);  // mpiexec hands it on
  EXPECT_EQ(job->wait(), 9);
  EXPECT_THAT(job->err(), HasSubstr("go on with the same command and --run " + folder.string()));
  const auto other = start(2, folder);
  EXPECT_EQ(other->wait(), 3);
  EXPECT_THAT(other->err(), HasSubstr("holds another job"));
  job = start(2, folder, longer);
  ASSERT_TRUE(job->wait_for_text(folder / "metrics.csv", ",100,")) << job->err();
  job->signal(SIGTERM);  // mpiexec does not wait for long, and has a code of its own
  EXPECT_EQ(job->wait(), 1);
  run(2, folder, longer);
  EXPECT_EQ(report_of(folder).at("job").at("clients").at("epochs"), 150);
  const auto whole = fresh("ranks-not-stopped");
  run(2, whole, longer);
  EXPECT_EQ(student_of(folder), student_of(whole));
}

TEST_F(Ranks, MoreRanksThanImagesInABatchAreRefusedBeforeAnythingIsTrained) {
  const auto job = start(3, fresh("ranks-many"), {"--set", "distillation.batch=2"});
  EXPECT_EQ(job->wait(), 3);
  EXPECT_THAT(job->err(), HasSubstr("3 ranks share batches of 2 images"));
}

TEST_F(Ranks, AWrongSettingIsSaid) {
  const auto job = start(2, fresh("ranks-wrong"), {"--set", "distillation.rank=1"});
  EXPECT_EQ(job->wait(), 3);
  EXPECT_THAT(job->err(), HasSubstr("distillation.ranks"));
}

TEST_F(Ranks, FedAvgOfAJobIsThatOfOneProcessEvenAfterAKill) {
  const auto fedavg = [](const std::filesystem::path& run) {
    std::vector<std::string> words =
        small_job(run, {"--set", "averaging.epochs=1", "--set", "averaging.rounds=6", "--quiet"});
    words.front() = "fedavg";
    return words;
  };
  const auto model_of = [](const std::filesystem::path& run) -> std::string {
    return nlohmann::json::parse(text_of(run / "fedavg.json")).at("averaged").at("sha256");
  };
  const auto alone = fresh("fedavg-alone"), three = fresh("fedavg-three"),
             killed = fresh("fedavg-killed");
  ASSERT_EQ(run_program(fedavg(alone)).code, 0);
  const auto whole = start_program(3, fedavg(three));
  EXPECT_EQ(whole->wait(), 0) << whole->err();
  EXPECT_EQ(model_of(three), model_of(alone));
  const auto dying = start_program(2, fedavg(killed));
  ASSERT_TRUE(dying->wait_for_text(killed / "events.jsonl", "\"round\":2,")) << dying->err();
  if (const auto ranks = dying->children(); !ranks.empty()) ::kill(ranks.back(), SIGKILL);
  dying->wait();  // it may have been done just before
  const auto on = start_program(2, {"fedavg", "--resume", killed.string(), "--quiet"});
  EXPECT_EQ(on->wait(), 0) << on->err();
  EXPECT_EQ(model_of(killed), model_of(alone));
}

TEST_F(Ranks, FedAvgIsThatOfOneProcess) {
  const std::vector<std::string> command{
      "bench",   "simulate",    "--data", "synthetic", "--clients", "50",     "--json",
      "--quiet", "--per-round", "7",      "--rounds",  "3",         "--alone"};
  const auto trained = [](Process& job) {
    EXPECT_EQ(job.wait(), 0) << job.err();
    const nlohmann::json found = nlohmann::json::parse(job.out());
    return found.at("fedstill").at("trained_sha256").get<std::string>();
  };
  std::vector<std::string> words{"-n",        "3",    "--oversubscribe",
                                 "--bind-to", "none", FEDSTILL_PROGRAM};
  words.insert(words.end(), command.begin(), command.end());
  words.emplace_back("--mpi");
  Process ranks(words, FEDSTILL_MPIEXEC), alone(command);
  EXPECT_EQ(trained(ranks), trained(alone));
}

}  // namespace
}  // namespace fedstill::tests
