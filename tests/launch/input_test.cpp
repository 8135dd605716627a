#include "launch/input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "launch/failure.h"
#include "launch/inspect.h"
#include "launch/job_file.h"
#include "tests/launch/process.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using tests::run_program;
using tests::TempFolder;

Failure told_of(const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    return describe(std::current_exception());
  }
  return {ExitCode::kOk, "no error", ""};
}

// What a run that was cut off leaves: its job and its state.
std::filesystem::path make_run(const TempFolder& temp, const std::string& program) {
  const auto run = temp / "run";
  std::filesystem::create_directories(run / "state");
  std::ofstream(run / "job.toml") << write_job(Job{});
  std::ofstream(run / "state/program.json") << nlohmann::json{{"name", program}};
  return run;
}

TEST(Input, WhatIsMissingIsFourWhateverTheCommand) {
  const std::string no = "/nowhere/x";
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"inspect", no},
                                             {"evaluate", no},
                                             {"predict", no, no},
                                             {"simulate", no},
                                             {"simulate", "--resume", no},
                                             {"simulate", "--clients-from", no},
                                             {"fedavg", no},
                                             {"mpi", no},
                                             {"shards", no, "--out", "/tmp"},
                                             {"audit", "verify", no},
                                             {"cert", "show", no},
                                             {"cert", "sign", "/tmp", no}}) {
    std::vector<std::string> asked = words;
    asked.emplace_back("--json");
    const auto done = run_program(asked);
    EXPECT_EQ(done.code, 4) << words.front() << done.err;
    EXPECT_THAT(done.err, HasSubstr("cannot read " + no));
    EXPECT_THAT(done.err, HasSubstr("hint: check the path\n"));
    EXPECT_EQ(nlohmann::json::parse(done.out).at("hint"), "check the path") << words.front();
  }
}

TEST(Input, AMissingListOfPeersIsMissingInput) {
  const std::string no = "/nowhere/x";
  const auto to_revoke = [&](std::vector<std::string> words) {
    words.insert(words.end(),
                 {"--identity", "/tmp", "--coordinator", "localhost:1", "--revoked", no});
    return words;
  };
  const std::vector<std::vector<std::string>> all{
      {"coordinator", "--identity", "/tmp", "--state", "/tmp", "--allowed", no},
      {"coordinator", "--identity", "/tmp", "--state", "/tmp", "--revoked", no},
      to_revoke({"client", "--data", "x", "--model", "cnn3", "--state", "/tmp"}),
      to_revoke({"preflight"}),
      to_revoke({"status"})};
  for (const auto& words : all) {
    const auto done = run_program(words);
    EXPECT_EQ(done.code, 4) << words.front() << done.err;
    EXPECT_THAT(done.err, HasSubstr("cannot read " + no)) << words.front();
  }
}

TEST(Input, OfARunFolderTheFileThatIsMeantIsNamed) {
  const TempFolder temp;
  const auto run = make_run(temp, "simulate");
  const auto failure = [&] { return told_of([&] { require_file(run, {"bundle.fsb", "b"}); }); };
  EXPECT_EQ(failure().code, ExitCode::kData);
  EXPECT_THAT(failure().message, HasSubstr("is a run folder, expected a file"));
  EXPECT_THAT(failure().hint, HasSubstr("finished?"));
  std::ofstream(run / "bundle.fsb") << "x";
  EXPECT_EQ(failure().hint, "give " + (run / "bundle.fsb").string());
  const Failure other = told_of([&] { require_file(run / "state"); });
  EXPECT_THAT(other.message, HasSubstr("is a folder, expected a file"));
  EXPECT_NO_THROW(require_folder(run));
  EXPECT_EQ(told_of([&] { require_folder(run / "job.toml"); }).code, ExitCode::kData);
}

TEST(Input, AnotherKindOfFileIsNotCalledDamaged) {
  const TempFolder temp;
  std::ofstream(temp / "text") << "hello";
  const Failure found = told_of([&] { inspect(temp / "text"); });
  EXPECT_EQ(found.code, ExitCode::kDamagedFile);
  EXPECT_THAT(found.hint, HasSubstr("inspect --help"));
}

// As in fedstill … | head: the pipe has no reader any more.
TEST(Input, AClosedStdoutEndsQuietly) {
  for (const std::string command : {"simulate --print-job", "version", "completion bash"}) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    ::close(pipe[0]);
    tests::Process process(
        {"-c", "exec " FEDSTILL_PROGRAM " " + command + " >&" + std::to_string(pipe[1])},
        "/bin/bash");
    EXPECT_EQ(process.wait(), -SIGPIPE) << command;
    EXPECT_EQ(process.err(), "");
    ::close(pipe[1]);
  }
}

}  // namespace
}  // namespace fedstill
