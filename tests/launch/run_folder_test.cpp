#include "launch/run_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <tuple>

#include "launch/event_log.h"
#include "launch/file_kind.h"
#include "launch/input.h"
#include "launch/inspect.h"
#include "launch/job_file.h"
#include "model/decode_error.h"
#include "tests/launch/process.h"
#include "tests/support/file_size_limit.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using tests::TempFolder;
using tests::text_of;

TEST(RunFolder, KeepsTheJob) {
  TempFolder temp;
  Job job;
  job.clients.count = 3;
  { const RunFolder created = RunFolder::create(temp / "a/b", job); }
  Job back;
  const RunFolder run = RunFolder::reopen(temp / "a/b", back);
  EXPECT_EQ(job_json(back), job_json(job));
  EXPECT_EQ(file_kind(run.file("job.toml")), FileKind::kJob);
}

TEST(RunFolder, IsHeldByOneAtATime) {
  TempFolder temp;
  Job job;
  {
    const RunFolder run = RunFolder::create(temp / "run", job);
    try {
      RunFolder::reopen(temp / "run", job);
      FAIL() << "opened twice";
    } catch (const std::system_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("another fedstill is using this run folder"));
    }
  }
  EXPECT_NO_THROW(RunFolder::reopen(temp / "run", job));
}

TEST(RunFolder, DoesNotOverwrite) {
  TempFolder temp;
  { const RunFolder run = RunFolder::create(temp / "run", Job{}); }
  try {
    RunFolder::create(temp / "run", Job{});
    FAIL() << "overwritten";
  } catch (const JobError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--resume"));
  }
  std::filesystem::create_directory(temp / "full");
  std::ofstream(temp / "full/something") << "x";
  EXPECT_THROW(RunFolder::create(temp / "full", Job{}), JobError);
  EXPECT_FALSE(std::filesystem::exists(temp / "full/job.toml"));
}

TEST(RunFolder, BelowAFileIsAnIoErrorAndLeavesNothing) {
  TempFolder temp;
  std::ofstream(temp / "file") << "x";
  try {
    RunFolder::create(temp / "file/run", Job{});
    FAIL() << "created below a file";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("file/run"));
  }
  EXPECT_THROW(RunFolder::create(temp / "file", Job{}), std::system_error);
  EXPECT_EQ(text_of(temp / "file"), "x");
}

TEST(RunFolder, ReopeningNothingIsAnInputError) {
  TempFolder temp;
  Job job;
  EXPECT_THROW(RunFolder::reopen(temp / "none", job), InputError);
  EXPECT_FALSE(std::filesystem::exists(temp / "none"));
}

std::string reopening(const std::filesystem::path& folder) {
  Job job;
  try {
    RunFolder::reopen(folder, job);
  } catch (const JobError& error) {
    return error.what();
  }
  return "opened";
}

TEST(RunFolder, AJobFileAloneIsNoRun) {
  TempFolder temp;
  std::ofstream(temp / "job.toml") << write_job(Job{});
  EXPECT_THAT(reopening(temp.path()), HasSubstr("holds a job.toml but no run"));
  EXPECT_FALSE(std::filesystem::exists(temp / "lock"));
}

TEST(RunFolder, AResumedRunKeepsTheJobItBeganWith) {
  TempFolder temp;
  const auto folder = temp / "run";
  Job job;
  { const RunFolder run = RunFolder::create(folder, job); }
  job.run.workers = 7;  // only speed depends on it
  std::ofstream(folder / "job.toml") << write_job(job);
  EXPECT_EQ(reopening(folder), "opened");
  job.run.seed = 5;
  std::ofstream(folder / "job.toml") << write_job(job);
  EXPECT_THAT(reopening(folder), HasSubstr("job.toml is not the job that the run began with: "
                                           "run.seed = 5, it began with 0"));
  std::filesystem::remove(folder / "state/begun.json");  // as an older fedstill left it
  EXPECT_EQ(reopening(folder), "opened");
}

std::string kind_problem(const std::filesystem::path& file) {
  try {
    return std::string(kind_name(file_kind(file)));
  } catch (const DecodeError& error) {
    return error.what();
  }
}

TEST(FileKind, WhatIsForOthersHasANameToo) {
  TempFolder temp;
  std::filesystem::create_directory(temp / "state");
  const std::tuple<const char*, const char*, const char*> files[] = {
      {"state/round.json", "{\"bundle\": 1, \"clients\": 2}", "state of a run"},
      {"state/seconds.json", "{\"clients\": 1.5}", "state of a run"},
      {"coordinator.sqlite", "SQLite format 3", "database"},
      {"picture.svg", "<svg>", "page"},
      {"report.html", "<!doctype html>", "page"}};
  for (const auto& [name, text, kind] : files) {
    std::ofstream(temp / name) << text;
    EXPECT_EQ(kind_problem(temp / name), kind) << name;
    EXPECT_EQ(inspect(temp / name).data.at("kind"), kind) << name;
  }
  std::ofstream(temp / "state/seconds.json") << "{";
  EXPECT_THROW(inspect(temp / "state/seconds.json"), DecodeError);
  std::ofstream(temp / "state/report.json") << "{\"bundle\": {}}";
  EXPECT_EQ(kind_problem(temp / "state/report.json"), "report");  // a coordinator's --state state
  std::ofstream(temp / "audit.jsonl") << "{\"seq\":1,\"previous\":\"0\"}\n";
  EXPECT_EQ(kind_problem(temp / "audit.jsonl"), "audit log");
  std::ofstream(temp / "letter") << "Dear all";
  EXPECT_THAT(kind_problem(temp / "letter"), HasSubstr("not a file that fedstill writes"));
}

TEST(RunFolder, RemembersAndRefusesDamage) {
  TempFolder temp;
  const RunFolder run = RunFolder::create(temp / "run", Job{});
  EXPECT_EQ(run.recall("student"), std::nullopt);
  run.remember("student", {{"x", 3}});
  EXPECT_EQ(run.recall("student"), nlohmann::json({{"x", 3}}));
  std::ofstream(run.file("state/student.json")) << "{\"x\":";
  EXPECT_THROW(run.recall("student"), DecodeError);
}

TEST(RunFolder, WrongStateIsADamagedFile) {
  TempFolder temp;
  const RunFolder run = RunFolder::create(temp / "run", Job{});
  int x = 0;
  const auto take = [&](const nlohmann::json& saved) { x = saved.at("x"); };
  EXPECT_FALSE(run.recall("student", take));
  run.remember("student", {{"x", 3}});
  EXPECT_TRUE(run.recall("student", take));
  EXPECT_EQ(x, 3);
  for (const nlohmann::json& wrong : {nlohmann::json{{"y", 3}}, {{"x", "three"}}, {1, 2}}) {
    run.remember("student", wrong);
    try {
      run.recall("student", take);
      FAIL() << wrong;
    } catch (const DecodeError& error) {
      EXPECT_THAT(error.what(), HasSubstr("state/student.json: is not as fedstill writes it"));
    }
  }
}

TEST(RunFolder, TheSecondOfTwoLeavesTheFirstAlone) {
  TempFolder temp;
  std::filesystem::create_directory(temp / "run");
  const int lock = ::open((temp / "run/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);  // as the first does before it has written anything
  EXPECT_THROW(RunFolder::create(temp / "run", Job{}), std::system_error);
  EXPECT_TRUE(std::filesystem::exists(temp / "run/lock"));
  ::close(lock);
  EXPECT_NO_THROW(RunFolder::create(temp / "run", Job{}));
}

TEST(RunFolder, RunsThatStartAtOnceGetFoldersOfTheirOwn) {
  TempFolder temp;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temp.path());
  std::vector<std::future<std::filesystem::path>> runs;
  for (int i = 0; i < 8; ++i) {
    runs.push_back(
        std::async(std::launch::async, [] { return RunFolder::create_default(Job{}).path(); }));
  }
  std::set<std::filesystem::path> folders;
  for (auto& run : runs) folders.insert(run.get());
  EXPECT_EQ(folders.size(), 8u);
  for (const auto& folder : folders) EXPECT_TRUE(std::filesystem::exists(folder / "job.toml"));
  std::filesystem::current_path(before);
}

TEST(RunFolder, ReopeningSweepsWhatAKillLeft) {
  TempFolder temp;
  { const RunFolder run = RunFolder::create(temp / "run", Job{}); }
  std::ofstream(temp / "run/report.json.tmp.12.3") << "half";
  std::ofstream(temp / "run/state/data.json.tmp.4.56") << "half";
  std::ofstream(temp / "run/notes.tmp.mine") << "kept";
  Job job;
  const RunFolder run = RunFolder::reopen(temp / "run", job);
  EXPECT_FALSE(std::filesystem::exists(temp / "run/report.json.tmp.12.3"));
  EXPECT_FALSE(std::filesystem::exists(temp / "run/state/data.json.tmp.4.56"));
  EXPECT_TRUE(std::filesystem::exists(temp / "run/notes.tmp.mine"));
}

TEST(RunFolder, DefaultNameIsFree) {
  EXPECT_EQ(default_run_folder().parent_path(), "runs");
  EXPECT_FALSE(std::filesystem::exists(default_run_folder()));
}

TEST(LineFile, CutsOffALineThatAKillLeftHalfWritten) {
  TempFolder temp;
  { LineFile(temp / "f", "head").append("one"); }
  std::ofstream(temp / "f", std::ios::app) << "tw";
  { LineFile(temp / "f", "head").append("two"); }
  EXPECT_EQ(text_of(temp / "f"), "head\none\ntwo\n");
}

TEST(LineFile, AFullDiskIsAnError) {
  EXPECT_THROW(LineFile("/dev/full", "").append("line"), std::system_error);
}

TEST(LineFile, OfALineThatDoesNotFitNothingStays) {
  TempFolder temp;
  LineFile file(temp / "f", "head");
  {
    const FileSizeLimit full(8);
    EXPECT_THROW(file.append("a long line"), std::system_error);
  }
  file.append("two");
  EXPECT_EQ(text_of(temp / "f"), "head\ntwo\n");
}

TEST(EventLog, WritesJsonLinesAndRows) {
  TempFolder temp;
  EventLog log(temp.path());
  log.event("stage_started", {{"stage", "clients"}});
  log.metric("client", "client-00", 1, 20, 0.5, 1000.0, 2);
  const auto line = nlohmann::json::parse(text_of(temp / "events.jsonl"));
  EXPECT_EQ(line.at("event"), "stage_started");
  EXPECT_EQ(line.at("stage"), "clients");
  EXPECT_GT(line.at("time"), 1.6e9);
  EXPECT_EQ(file_kind(temp / "events.jsonl"), FileKind::kEvents);
  EXPECT_EQ(file_kind(temp / "metrics.csv"), FileKind::kMetrics);
  EXPECT_NO_THROW(EventLog(temp.path()).event("failed", {{"what", "file \xff"}}));
  EXPECT_EQ(
      text_of(temp / "metrics.csv"),
      "stage,who,epoch,step,loss,images_per_second,round\nclient,client-00,1,20,0.5,1000.0,2\n");
}

}  // namespace
}  // namespace fedstill
