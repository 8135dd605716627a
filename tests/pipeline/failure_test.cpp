#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "tests/pipeline/small_job.h"

namespace fedstill::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Failure : public Pipeline {
 protected:
  // Everything but the clients, which come from the reference run.
  static Finished again(const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--clients-from", reference().string()});
    return run_program(small_job(fresh(name), more));
  }
};

TEST_F(Failure, UsageIsTwo) {
  const Finished done = run_program({"simulate", "--wrokers", "3"});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.err, HasSubstr("wrokers"));
  EXPECT_EQ(run_program({"simulate", "--resume", "x", "--seed", "1"}).code, 2);
}

TEST_F(Failure, AJobErrorIsThreeAndLeavesNothing) {
  for (const char* setting :
       {"clients.cuont=3", "clients.count=0", "clients.models=nope", "data.pool=6000",
        "clients.minimum=1000", "data.source=synthetic:4x1x8x8", "data.source=idx:/\xff",
        "data.source=synthetc", "round.minimum=4", "compression.images=401"}) {
    const Finished done = run_program(small_job(fresh("bad"), {"--set", setting}));
    EXPECT_EQ(done.code, 3) << setting << done.err;
    EXPECT_THAT(done.err, HasSubstr("[job]"));
    EXPECT_FALSE(fs::exists(fresh("bad")));
  }
}

TEST_F(Failure, JsonTellsAnErrorToo) {
  const Finished done =
      run_program(small_job(fresh("bad"), {"--json", "--set", "clients.cuont=3"}));
  const auto told = nlohmann::json::parse(done.out);
  EXPECT_EQ(told.at("status"), "error");
  EXPECT_EQ(told.at("exit_code"), 3);
  EXPECT_THAT(told.at("message"), HasSubstr("clients.count"));
}

TEST_F(Failure, MissingDataIsFourAndLeavesNothing) {
  const Finished done =
      run_program(small_job(fresh("nodata"), {"--set", "data.source=idx:/nowhere"}));
  EXPECT_EQ(done.code, 4) << done.err;
  EXPECT_FALSE(fs::exists(fresh("nodata")));
}

TEST_F(Failure, ClassesThatNoClientHoldsAreThree) {
  const Finished done = run_program(small_job(
      fresh("classes"), {"--set", "clients.split=classes", "--set", "clients.classes=1"}));
  EXPECT_EQ(done.code, 3) << done.err;
  EXPECT_THAT(done.err, HasSubstr("clients.count × clients.classes = 3"));
}

TEST_F(Failure, AMissingImageIsFour) {
  const std::string bundle = (reference() / "bundle.fsb").string();
  const Finished done = run_program({"predict", bundle, "/nowhere.png"});
  EXPECT_EQ(done.code, 4) << done.err;
  EXPECT_THAT(done.err, HasSubstr("/nowhere.png"));
}

TEST_F(Failure, AnUnfinishedRunIsCalledSo) {
  const auto run = fresh("unfinished");
  fs::copy(reference(), run, fs::copy_options::recursive);
  fs::remove(run / "report.json");
  const Finished told = run_program({"inspect", run.string()});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("stage report, 3 of 3 clients done"));
  fs::remove(run / "state/student.json");
  fs::remove(run / "state/bundle.json");
  EXPECT_EQ(run_json({"inspect", run.string(), "--json"}).at("stage"), "student");
  fs::remove(run / "cache/test.predictions");
  EXPECT_EQ(run_json({"inspect", run.string(), "--json"}).at("stage"), "teachers");
}

TEST_F(Failure, OtherDataIsFour) {
  const std::string bundle = (reference() / "bundle.fsb").string();
  for (const char* source : {"synthetic:4x1x20x20", "synthetic:5x1x16x16"}) {
    EXPECT_EQ(run_program({"evaluate", bundle, "--data", source}).code, 4) << source;
  }
}

// Also where it does not say with which.
TEST_F(Failure, ARunThatBeganWithOtherDataIsFour) {
  const auto run = fresh("other-data");
  fs::copy(reference(), run, fs::copy_options::recursive);
  const std::pair<const char*, const char*> states[] = {
      {R"({"sha256": "other"})", "began with other images or labels"},
      {R"({"pool": "as an older fedstill wrote it"})", "does not say which images"}};
  for (const auto& [state, message] : states) {
    std::ofstream(run / "state/data.json") << state;
    const Finished resumed = run_program({"simulate", "--resume", run.string()});
    EXPECT_EQ(resumed.code, 4) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr(message));
    const Finished reused =
        run_program(small_job(fresh("reuses-other"), {"--clients-from", run.string()}));
    EXPECT_EQ(reused.code, 4) << reused.err;
    EXPECT_THAT(reused.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(fresh("reuses-other")));
  }
}

TEST_F(Failure, DamagedFilesAreFive) {
  for (const char* file : {"student.safetensors", "bundle.fsb", "cache/pool.predictions"}) {
    const std::string good = text_of(reference() / file);
    std::string flipped = good;
    flipped[good.size() / 2] = static_cast<char>(flipped[good.size() / 2] ^ 1);
    for (const std::string& bytes : {flipped, good.substr(0, good.size() - 1)}) {
      std::ofstream(fresh("damaged"), std::ios::binary) << bytes;
      const Finished done = run_program({"inspect", fresh("damaged").string()});
      EXPECT_EQ(done.code, 5) << file << bytes.size() << done.err;
    }
  }
  // One bit of a weight, which no check of structure sees.
  std::string student = text_of(reference() / "student.safetensors");
  student.back() = static_cast<char>(student.back() ^ 1);
  std::ofstream(fresh("damaged"), std::ios::binary) << student;
  EXPECT_EQ(
      run_program({"evaluate", fresh("damaged").string(), "--data", "synthetic:4x1x16x16"}).code,
      5);
  std::ofstream(fresh("nonsense")) << "hello";
  EXPECT_EQ(run_program({"inspect", fresh("nonsense").string()}).code, 5);
}

TEST_F(Failure, ADamagedRunIsNotResumed) {
  const auto run = fresh("damaged-run");
  fs::copy(reference(), run, fs::copy_options::recursive);
  std::ofstream(run / "split.json") << "{}";
  const Finished done = run_program({"simulate", "--resume", run.string()});
  EXPECT_EQ(done.code, 5) << done.err;
  EXPECT_THAT(done.err, HasSubstr((run / "split.json").string()));
}

TEST_F(Failure, AStudentThatIsDamagedOrGoneIsMadeAgainWithoutItsRecord) {
  const auto run = fresh("damaged-student");
  fs::copy(reference(), run, fs::copy_options::recursive);
  const auto student = run / "student.safetensors";
  const auto resume = [&] { return run_program({"simulate", "--resume", run.string()}); };
  fs::resize_file(student, fs::file_size(student) - 1);
  EXPECT_EQ(resume().code, 5);
  fs::remove(student);
  const Finished gone = resume();
  EXPECT_EQ(gone.code, 5);
  EXPECT_THAT(gone.err, AllOf(HasSubstr("student.safetensors is missing"),
                              HasSubstr("remove its record in the run's state folder")));
  fs::remove(run / "state" / "student.json");
  EXPECT_EQ(resume().code, 0);
  EXPECT_EQ(text_of(student), text_of(reference() / "student.safetensors"));
}

TEST_F(Failure, AnUnwritableRunFolderIsSix) {
  std::ofstream(fresh("file")) << "x";
  const Finished done = run_program(small_job(fresh("file") / "run"));
  EXPECT_EQ(done.code, 6) << done.err;
  EXPECT_THAT(done.err, HasSubstr((fresh("file") / "run").string()));
}

TEST_F(Failure, AReadOnlyDiskIsSix) {
  const auto disk = fresh("read-only");
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", MS_RDONLY, "size=64k") != 0) {
    GTEST_SKIP() << "no permission to mount: " << std::strerror(errno);
  }
  const Finished done = run_program(small_job(disk / "run"));
  ::umount(disk.c_str());
  EXPECT_EQ(done.code, 6) << done.err;
  EXPECT_THAT(done.err, HasSubstr((disk / "run").string() + ": Read-only file system"));
}

TEST_F(Failure, AForbiddenFolderIsSix) {
  if (::geteuid() == 0) GTEST_SKIP() << "nothing is forbidden to root";
  const auto folder = fresh("forbidden");
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
  const Finished done = run_program(small_job(folder / "run"));
  fs::permissions(folder, fs::perms::owner_all);
  EXPECT_EQ(done.code, 6) << done.err;
  EXPECT_THAT(done.err, HasSubstr((folder / "run").string() + ": Permission denied"));
}

TEST_F(Failure, AFullDiskIsSixAndAResumeGoesOn) {
  const auto disk = fresh("disk");
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=200k") != 0) {
    GTEST_SKIP() << "no permission to mount: " << std::strerror(errno);
  }
  const Finished full = run_program(small_job(disk / "run"));
  const int more = ::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64m");
  const Finished resumed = run_program({"simulate", "--resume", (disk / "run").string()});
  const std::string student = resumed.code == 0 ? student_of(disk / "run") : "";
  ::umount(disk.c_str());
  EXPECT_EQ(full.code, 6) << full.err;
  EXPECT_THAT(full.err, HasSubstr("No space left"));
  ASSERT_EQ(more, 0);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(student, student_of(reference()));
}

TEST_F(Failure, TooLargeAFileIsSixAndLeavesNoPart) {
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 20'000;  // the child inherits it; a client's update is larger
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Finished done = run_program(small_job(fresh("limited")));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(done.code, 6) << done.err;
  for (const auto& entry : fs::recursive_directory_iterator(fresh("limited"))) {
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("update.safetensors")));
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("tmp")));
  }
}

TEST_F(Failure, TheGateIsSevenAndLeavesNoBundle) {
  const Finished done =
      again("gate", {"--set", "compression.calibration=percentile", "--set",
                     "compression.percentile=51", "--set", "compression.minimum_agreement=1"});
  EXPECT_EQ(done.code, 7) << done.err;
  EXPECT_FALSE(fs::exists(fresh("gate") / "bundle.fsb"));
  EXPECT_TRUE(fs::exists(fresh("gate") / "student.safetensors"));
}

TEST_F(Failure, NanInAClientIsEight) {
  const Finished done =
      run_program(small_job(fresh("nan"), {"--set", "clients.learning_rate=1e30"}));
  EXPECT_EQ(done.code, 8) << done.err;
  EXPECT_THAT(done.err, HasSubstr("): [client] its model: [fit] the "));
  EXPECT_THAT(done.err, HasSubstr("client-0"));
  EXPECT_FALSE(fs::exists(fresh("nan") / "clients/client-00/update.safetensors"));
}

TEST_F(Failure, NanInTheStudentIsEight) {
  const Finished done = again("nan-student", {"--set", "distillation.learning_rate=1e30", "--set",
                                              "distillation.optimizer=sgd"});
  EXPECT_EQ(done.code, 8) << done.err;
  EXPECT_THAT(done.err, HasSubstr("the student ("));
  EXPECT_FALSE(fs::exists(fresh("nan-student") / "student.safetensors"));
}

}  // namespace
}  // namespace fedstill::tests
