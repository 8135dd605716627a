#include "launch/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "launch/command_outline.h"
#include "launch/completion.h"
#include "launch/sites/serve_options.h"
#include "tests/launch/process.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;

Command parse(std::vector<const char*> words) {
  words.insert(words.begin(), "fedstill");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

std::string usage_error(const std::vector<const char*>& words) {
  try {
    parse(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(CommandLine, SimulateTakesEverything) {
  const auto c = std::get<SimulateCommand>(
      parse({"simulate", "job.toml", "--run", "r", "--workers", "3", "--seed", "7", "--set",
             "a.b=1", "--set", "c.d=2", "--device", "cuda:1", "--json", "--quiet"}));
  EXPECT_EQ(c.job, "job.toml");
  EXPECT_EQ(c.run, "r");
  EXPECT_EQ(c.workers, 3);
  EXPECT_EQ(c.seed, 7);
  EXPECT_EQ(c.assignments, (std::vector<std::string>{"a.b=1", "c.d=2"}));
  EXPECT_EQ(c.device, "cuda:1");
  EXPECT_TRUE(c.json);
  EXPECT_TRUE(c.quiet);
}

TEST(CommandLine, ANumberBeyond64BitsIsRefused) {
  for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{
           {"simulate", "--seed", "9223372036854775808"},
           {"fedavg", "--workers", "99999999999999999999"},
           {"cert", "init", "x", "--days", "-9223372036854775809"},
           {"bench", "simulate", "--seed", "99999999999999999999"}}) {
    EXPECT_THAT(usage_error(words), HasSubstr("does not fit in 64 bits")) << words.front();
  }
  const auto c = std::get<SimulateCommand>(parse({"simulate", "--seed", "9223372036854775807"}));
  EXPECT_EQ(c.seed, std::numeric_limits<std::int64_t>::max());
}

TEST(CommandLine, ADeviceIsTheCpuOrAGpu) {
  EXPECT_EQ(std::get<SimulateCommand>(parse({"simulate"})).device, "");  // as the job says
  EXPECT_EQ(std::get<MpiCommand>(parse({"mpi", "--device", "cuda"})).device, "cuda");
  for (const char* command : {"simulate", "mpi"}) {
    EXPECT_THAT(usage_error({command, "--device", "gpu"}), HasSubstr("cpu, cuda or cuda:N"));
  }
}

TEST(CommandLine, ASettingDoesNotSwallowTheJob) {
  const auto c = std::get<SimulateCommand>(parse({"simulate", "--set", "a.b=1", "job.toml"}));
  EXPECT_EQ(c.job, "job.toml");
}

TEST(CommandLine, BenchDistillTakesAListOfRanks) {
  const auto c = std::get<BenchDistillCommand>(std::get<BenchCommand>(
      parse({"bench", "distill", "--ranks", "1,2,4", "--plot", "scaling.svg"})));
  EXPECT_EQ(c.ranks, (std::vector<std::int64_t>{1, 2, 4}));
  EXPECT_EQ(c.plot, "scaling.svg");
  EXPECT_THAT(usage_error({"bench", "distill", "--ranks", "0"}), HasSubstr("ranks"));
}

// Before a device is looked for.
TEST(CommandLine, BenchDistillRefusesWhatItsDeviceDoesNotMeasure) {
  using Words = std::vector<const char*>;
  for (const auto& [more, message] : std::vector<std::pair<Words, std::string>>{
           {{"--bf16"}, "--bf16 is for --device cuda"},
           {{"--device", "cpu", "--bf16"}, "--bf16 is for --device cuda"},
           {{"--device", "cuda", "--ranks", "1,2"}, "--ranks is for the processor"},
           {{"--device", "cuda:1", "--plot", "a.svg"}, "--plot is for the processor"}}) {
    Words words{"bench", "distill"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_THAT(usage_error(words), HasSubstr(message));
  }
  const auto c = std::get<BenchDistillCommand>(
      std::get<BenchCommand>(parse({"bench", "distill", "--device", "cuda", "--bf16"})));
  EXPECT_TRUE(c.bf16);
}

TEST(CommandLine, BenchNamesWhatIsMeasured) {
  const auto c = std::get<BenchSimulateCommand>(std::get<BenchCommand>(
      parse({"bench", "simulate", "--workload", "W2", "--clients", "5", "--json"})));
  EXPECT_EQ(c.workload, "W2");
  EXPECT_EQ(c.clients, 5);
  EXPECT_FALSE(c.rounds.has_value());
  EXPECT_TRUE(c.output.json);
  EXPECT_THAT(usage_error({"bench"}), HasSubstr("a command is missing; commands: simulate"));
  EXPECT_THAT(usage_error({"bench", "simulate", "--workload", "W3"}), HasSubstr("W3"));
}

TEST(CommandLine, SimulateNeedsNothing) {
  const auto c = std::get<SimulateCommand>(parse({"simulate"}));
  EXPECT_EQ(c.preset, "quick");
  EXPECT_FALSE(c.seed.has_value());
}

TEST(CommandLine, ARunThatGoesOnKeepsItsJob) {
  EXPECT_EQ(usage_error({"simulate", "--resume", "r", "--workers", "3", "--json"}), "no error");
  for (const std::vector<const char*>& more :
       std::vector<std::vector<const char*>>{{"job.toml"},
                                             {"--preset", "quick"},
                                             {"--run", "x"},
                                             {"--clients-from", "x"},
                                             {"--seed", "0"},
                                             {"--set", "a.b=1"},
                                             {"--print-job"}}) {
    std::vector<const char*> words{"simulate", "--resume", "r"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_THAT(usage_error(words), HasSubstr("only --workers, --device, --quiet and --json"))
        << more.front();
  }
  EXPECT_EQ(usage_error({"simulate", "--resume", "r", "--device", "cpu"}), "no error");
  EXPECT_THAT(usage_error({"fedavg", "--resume", "r", "--seed", "1"}),
              HasSubstr("only --workers, --quiet and --json"));
}

TEST(CommandLine, ACoordinatorsLimitsReachItsServer) {
  const auto c = std::get<CoordinatorCommand>(
      parse({"coordinator", "job.toml", "--state", "s", "--identity", "hub", "--allowed", "names",
             "--bytes-per-second", "5000", "--upstream", "world:1", "--upstream-identity", "region",
             "--upstream-proxy", "proxy:2"}));
  EXPECT_EQ(c.upstream_proxy, "proxy:2");
  Job job;
  job.clients.count = 10'000;
  const ServerOptions options = server_options(c, job);
  EXPECT_EQ(options.limits.bytes_per_second, 5000U);
  EXPECT_GT(options.limits.max_connections, 10'000U);
  EXPECT_EQ(options.access.allowed, "names");
  EXPECT_EQ(options.listen, (Endpoint{"0.0.0.0", 7443}));
}

TEST(CommandLine, EveryWayToACoordinatorMayLeadThroughAProxy) {
  const auto with_proxy = [](std::vector<const char*> words) {
    for (const char* word : {"--coordinator", "hub:1", "--identity", "i", "--proxy", "proxy:2"}) {
      words.push_back(word);
    }
    return parse(words);
  };
  EXPECT_EQ(std::get<PreflightCommand>(with_proxy({"preflight"})).proxy, "proxy:2");
  const std::vector<const char*> client{"client", "--data", "d", "--model", "mlp", "--state", "s"};
  EXPECT_EQ(std::get<ClientCommand>(with_proxy(client)).proxy, "proxy:2");
  const std::vector<std::vector<const char*>> orders{{"status"},
                                                     {"rounds"},
                                                     {"clients"},
                                                     {"exclude", "a"},
                                                     {"readmit", "a"},
                                                     {"reopen"},
                                                     {"log-level", "debug"},
                                                     {"stop"}};
  for (const auto& order : orders) {
    EXPECT_EQ(std::get<AdminCommand>(with_proxy(order)).proxy, "proxy:2") << order.front();
  }
}

TEST(CommandLine, OtherCommands) {
  EXPECT_EQ(std::get<InspectCommand>(parse({"inspect", "x"})).file, "x");
  EXPECT_EQ(std::get<PredictCommand>(parse({"predict", "b", "1.png", "2.png"})).images.size(), 2u);
  EXPECT_EQ(std::get<EvaluateCommand>(parse({"evaluate", "b", "--data", "mnist:x"})).data,
            "mnist:x");
  EXPECT_EQ(std::get<CompletionCommand>(parse({"completion", "zsh"})).shell, "zsh");
  EXPECT_TRUE(std::get<VersionCommand>(parse({"version", "--json"})).json);
  EXPECT_FALSE(std::get<VersionCommand>(parse({"--version"})).json);
  EXPECT_TRUE(std::get<VersionCommand>(parse({"--version", "--json"})).json);
  EXPECT_THAT(usage_error({"--json"}), HasSubstr("behind a command"));
}

TEST(CommandLine, WhatIsWrongIsSaidInPlainWords) {
  const std::pair<std::vector<const char*>, const char*> cases[] = {
      {{"simulate", "--workers"}, "--workers is followed by a whole number"},
      {{"simulate", "--set"}, "--set is followed by a value"},
      {{"simulate", "--workers", "x"}, "--workers: found x, expected a whole number"},
      {{"bench", "simulate", "--lr", "x"}, "--lr: found x, expected a number"},
      {{"simulate", "--wrokers", "3"}, "no option --wrokers (did you mean --workers?)"},
      {{"simulate", "--wrokers=3"}, "no option --wrokers (did you mean --workers?)"},
      {{"simulate", "a.toml", "b.toml"}, "found b.toml, which simulate does not take"},
      {{"inspect"}, "inspect: file is missing (the file"},
      {{"client"}, "client: --coordinator is missing"},
      {{"cert"}, "after cert a command is missing; commands: init"},
      {{"cert", "singn"}, "cert has no command singn (did you mean sign?)"},
      {{"bench", "simulate", "--clients", "0"}, "--clients: found 0, expected 1 to 10000000"},
      {{"client", "--mode", "x"}, "--mode: found x, expected model or predictions"}};
  for (const auto& [words, message] : cases) EXPECT_THAT(usage_error(words), HasSubstr(message));
  try {
    parse({"cert", "sign", "--bogus"});
  } catch (const UsageError& error) {
    EXPECT_EQ(error.command, "fedstill cert sign");
  }
}

// In the examples below the help, the command itself.
void expect_examples(const CommandOutline& command, std::vector<std::string> words) {
  words.push_back(command.name);
  std::vector<const char*> asked;
  std::string said = "fedstill";
  for (const auto& word : words) {
    asked.push_back(word.c_str());
    said += " " + word;
  }
  asked.push_back("--help");
  const std::string help = std::get<HelpCommand>(parse(asked)).text;
  const auto examples = help.find("Example");
  ASSERT_NE(examples, std::string::npos) << said;
  EXPECT_THAT(help.substr(examples), HasSubstr(said));
  for (const auto& nested : command.commands) expect_examples(nested, words);
}

TEST(CommandLine, EveryCommandHasExamplesOfItsOwn) {
  EXPECT_THAT(std::get<HelpCommand>(parse({})).text, HasSubstr("Examples"));
  for (const auto& command : command_outlines()) expect_examples(command, {});
}

TEST(CommandLine, HelpTellsEveryExitCode) {
  const std::string help = std::get<HelpCommand>(parse({"--help"})).text;
  const auto codes = help.find("Exit codes");
  ASSERT_NE(codes, std::string::npos);
  for (const int code : {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 69, 70}) {
    EXPECT_THAT(help.substr(codes), HasSubstr(" " + std::to_string(code) + " "));
  }
}

TEST(CommandLine, VersionsAreAnObjectWithAStatus) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"version", "--json"}, {"--version", "--json"}}) {
    const auto told = nlohmann::json::parse(tests::run_program(words).out);
    EXPECT_EQ(told.at("status"), "success");
    EXPECT_TRUE(told.contains("libtorch"));
  }
  EXPECT_THAT(tests::run_program({"version"}).out, HasSubstr("fedstill "));
}

TEST(CommandLine, MpiTakesAJobAsSimulateDoes) {
  const auto c = std::get<MpiCommand>(parse({"mpi", "job.toml", "--seed", "7", "--workers", "3"}));
  EXPECT_EQ(c.seed, 7);
  EXPECT_EQ(c.workers, 3);
  EXPECT_NE(usage_error({"mpi", "--resume", "r"}), "no error");  // the same --run goes on
  const auto printed = tests::run_program({"mpi", "--seed", "7", "--print-job", "--json"});
  EXPECT_EQ(nlohmann::json::parse(printed.out).at("job").at("run").at("seed"), 7) << printed.err;
}

TEST(CommandLine, RefusesWhatMakesNoSense) {
  EXPECT_THAT(usage_error({"simulat"}), HasSubstr("did you mean simulate?"));
  EXPECT_NE(usage_error({"simulate", "--wrokers", "3"}), "no error");
  EXPECT_NE(usage_error({"simulate", "--workers", "three"}), "no error");
  EXPECT_NE(usage_error({"inspect"}), "no error");
  EXPECT_NE(usage_error({"predict", "b"}), "no error");
  EXPECT_NE(usage_error({"--nonsense"}), "no error");
  EXPECT_THAT(usage_error({"status", "--identity", "i", "--coordinator", "hub"}),
              HasSubstr("HOST:PORT"));
  EXPECT_NE(usage_error({"coordinator", "--state", "s", "--identity", "i", "--listen", "7443"}),
            "no error");
  for (const char* alone : {"--upstream", "--upstream-identity", "--upstream-proxy"}) {
    EXPECT_NE(usage_error({"coordinator", "--state", "s", "--identity", "i", alone, "x:1"}),
              "no error");
  }
}

// The words after ExecStart= of a unit, as systemd would pass them with this environment.
std::vector<std::string> started_by(const std::filesystem::path& unit) {
  const std::string text = tests::text_of(unit), key = "\nExecStart=";
  const auto begin = text.find(key) + key.size();
  std::istringstream line(text.substr(begin, text.find('\n', begin) - begin));
  std::vector<std::string> words{std::istream_iterator<std::string>(line), {}};
  for (std::string& word : words) {
    if (word == "${COORDINATOR}") word = "hub.example.org:7443";
    if (word == "${DATA}") word = "idx:/srv/images";
    if (word == "${MODEL}") word = "resnet8";
  }
  return words;
}

Command parse_unit(const std::string& name) {
  const auto words = started_by(std::filesystem::path(FEDSTILL_UNITS) / name);
  EXPECT_THAT(words.at(0), testing::EndsWith("/fedstill"));
  std::vector<const char*> rest;
  for (const std::string& word : std::span(words).subspan(1)) rest.push_back(word.c_str());
  return parse(rest);
}

TEST(CommandLine, TheUnitsOfSystemdSayWhatItUnderstands) {
  const auto coordinator = std::get<CoordinatorCommand>(parse_unit("fedstill-coordinator.service"));
  EXPECT_EQ(coordinator.job, "/etc/fedstill/job.toml");
  EXPECT_TRUE(coordinator.wait_on_failure);
  EXPECT_GT(coordinator.monitor, 0);
  const auto client = std::get<ClientCommand>(parse_unit("fedstill-client.service"));
  EXPECT_EQ(client.coordinator, "hub.example.org:7443");
  EXPECT_EQ(client.model, "resnet8");
  for (const auto& log : {coordinator.log, client.log}) EXPECT_NE(log, "");
  using Folder = std::filesystem::directory_iterator;
  EXPECT_EQ(std::distance(Folder(FEDSTILL_UNITS), Folder()), 2) << "and the others?";
}

TEST(Completion, KnowsCommandsFlagsAndKeys) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell);
    for (const char* word : {"simulate", "resume", "clients.count="}) {
      EXPECT_THAT(script, HasSubstr(word)) << shell;
    }
  }
  EXPECT_THROW(completion_script("tcsh"), UsageError);
}

// What bash itself would offer after these words.
std::string offered(const std::string& words, int cursor) {
  const tests::TempFolder temp;
  std::ofstream(temp / "fedstill.bash") << completion_script("bash");
  const std::string ask = "source " + (temp / "fedstill.bash").string() + "; COMP_WORDS=(" + words +
                          "); COMP_CWORD=" + std::to_string(cursor) +
                          "; _fedstill; echo \"${COMPREPLY[*]}\" > " + (temp / "out").string();
  EXPECT_EQ(tests::Process({"--norc", "-c", ask}, "/bin/bash").wait(), 0);
  return tests::text_of(temp / "out");
}

TEST(Completion, BashOffersWhatMayFollow) {
  EXPECT_EQ(offered("fedstill evalu", 1), "evaluate\n");
  EXPECT_EQ(offered("fedstill cert re", 2), "revoke request\n");
  EXPECT_EQ(offered("fedstill cert request --ro", 3), "--role\n");
  EXPECT_EQ(offered("fedstill cert request --role c", 4), "coordinator client\n");
  EXPECT_EQ(offered("fedstill client --model lene", 3), "lenet5\n");
  EXPECT_EQ(offered("fedstill client --mode p", 3), "predictions\n");
  EXPECT_EQ(offered("fedstill simulate --device c", 3), "cpu cuda\n");
  EXPECT_EQ(offered("fedstill simulate --set clients.co", 3), "clients.count=\n");
}

// Bash makes three words of key, = and value; zsh hands them over as one.
TEST(Completion, BashOffersTheValuesOfASetting) {
  EXPECT_EQ(offered("fedstill simulate --set clients.split = sh", 5), "shards\n");
  EXPECT_EQ(offered("fedstill simulate --set clients.flip =", 4), "true false\n");
  EXPECT_EQ(offered("fedstill simulate --set data.source = f", 5), "fashion-mnist\n");
  EXPECT_EQ(offered("fedstill mpi --seed 1 --set compression.scheme = w", 7), "w8a8\n");
  EXPECT_EQ(offered("fedstill simulate --set clients.models = lenet5,resnet8", 5),
            "lenet5,resnet8 lenet5,resnet8-wide\n");
  EXPECT_EQ(offered("fedstill simulate --set clients.split=sh", 3), "clients.split=shards\n");
  EXPECT_EQ(offered("fedstill simulate --set clients.models=mlp,le", 3),
            "clients.models=mlp,lenet5\n");
  EXPECT_EQ(offered("fedstill simulate --set clients.count = 1", 5), "\n");
  EXPECT_THAT(completion_script("fish"), HasSubstr(" aggregation.rule=bounded-odds"));
}

}  // namespace
}  // namespace fedstill
