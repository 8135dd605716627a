#include "launch/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/event_log.h"
#include "launch/job_file.h"
#include "model/decode_error.h"
#include "tests/launch/process.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;
using testing::text_of;

TEST(RunFolder, KeepsTheJob) {
  TempFolder temp;
  Job job;
  job.clients.count = 3;
  { const RunFolder created = RunFolder::create(temp / "a/b", job); }
  Job back;
  const RunFolder run = RunFolder::reopen(temp / "a/b", back);
  EXPECT_EQ(job_json(back), job_json(job));
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
  EXPECT_THROW(RunFolder::create(temp / "file/run", Job{}), std::system_error);
  EXPECT_THROW(RunFolder::create(temp / "file", Job{}), std::system_error);
  EXPECT_EQ(text_of(temp / "file"), "x");
}

TEST(RunFolder, ReopeningNothingIsAJobError) {
  TempFolder temp;
  Job job;
  EXPECT_THROW(RunFolder::reopen(temp / "none", job), JobError);
  EXPECT_FALSE(std::filesystem::exists(temp / "none"));
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

TEST(EventLog, WritesJsonLinesAndRows) {
  TempFolder temp;
  EventLog log(temp.path());
  log.event("stage_started", {{"stage", "clients"}});
  log.metric("client", "client-00", 1, 20, 0.5, 1000.0);
  const auto line = nlohmann::json::parse(text_of(temp / "events.jsonl"));
  EXPECT_EQ(line.at("event"), "stage_started");
  EXPECT_EQ(line.at("stage"), "clients");
  EXPECT_GT(line.at("time"), 1.6e9);
  EXPECT_EQ(text_of(temp / "metrics.csv"),
            "stage,who,epoch,step,loss,images_per_second\nclient,client-00,1,20,0.5,1000.0\n");
}

}  // namespace
}  // namespace fedstill
