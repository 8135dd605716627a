#include "launch/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "launch/bench/command_line_bench.h"
#include "launch/command_examples.h"
#include "launch/command_line_options.h"
#include "launch/command_line_sites.h"
#include "launch/command_outline.h"
#include "launch/job_file.h"
#include "launch/suggestion.h"
#include "launch/usage.h"

namespace fedstill {
namespace {

constexpr const char* kDescription =
    "fedstill: many sites train models of different architectures on their own images; their "
    "opinions on shared unlabeled images become soft labels, a student, and a small 8-bit file.";

struct Commands {
  SimulateCommand simulate;
  FedAvgCommand fedavg;
  MpiCommand mpi;
  InspectCommand inspect;
  PredictCommand predict;
  EvaluateCommand evaluate;
  SiteCommands sites;
  BenchCommands bench;
  CompletionCommand completion;
  VersionCommand version;
};

// What job it is, and how it is run.
void add_job_options(CLI::App& app, SimulateCommand& c) {
  app.add_option("job", c.job, "job file (TOML); without one the preset is run");
  add_preset(app, c.preset);
  app.add_option(
      "--workers", c.workers,
      "short for --set run.workers=N: cores that train clients and ask teachers; 0: all");
  app.add_option("--seed", c.seed, "short for --set run.seed=SEED");
  add_assignments(app, c.assignments);
  app.add_flag("--print-job", c.print_job,
               "write the effective job to stdout and stop; with --json as a JSON object");
  add_quiet(app, c.quiet);
  add_json(app, c.json);
}

void add_run_options(CLI::App& app, SimulateCommand& c) {
  app.add_option("--run", c.run, "folder of this run (default: runs/<date>-<time>)");
  app.add_option("--resume", c.resume, "go on with the run in this folder");
  add_job_options(app, c);
}

void add_simulate(CLI::App& root, SimulateCommand& c) {
  CLI::App& app = *root.add_subcommand("simulate", "run a whole job on this machine");
  add_run_options(app, c);
  add_device(app, c.device);
  app.add_option("--clients-from", c.clients_from,
                 "take the trained clients and their predictions from another run with the same "
                 "data, clients and seed");
}

void add_fedavg(CLI::App& root, FedAvgCommand& c) {
  CLI::App& app = *root.add_subcommand(
      "fedavg", "average the weights of a job's clients instead of distilling, to compare");
  add_run_options(app, c);
}

void add_mpi(CLI::App& root, MpiCommand& c) {
  CLI::App& app = *root.add_subcommand("mpi", "run a whole job on the ranks of mpirun or Slurm");
  app.add_option("--run", c.run,
                 "folder of this run, on rank 0 (default: runs/<date>-<time>); the same again goes "
                 "on with it");
  add_job_options(app, c);
  add_device(app, c.device);
}

void add_inspect(CLI::App& root, InspectCommand& c) {
  CLI::App& app = *root.add_subcommand("inspect", "show what is in a file that fedstill wrote");
  app.add_option("file", c.file, "the file, or the folder of a run: its report, or how far it is")
      ->required();
  add_json(app, c.json);
}

void add_predict(CLI::App& root, PredictCommand& c) {
  CLI::App& app = *root.add_subcommand("predict", "classify images with a bundle");
  app.add_option("bundle", c.bundle, "bundle.fsb of a run")->required();
  app.add_option("images", c.images, "PNG files or IDX image files (plain or gzip)")->required();
  add_json(app, c.json);
}

void add_evaluate(CLI::App& root, EvaluateCommand& c) {
  CLI::App& app = *root.add_subcommand("evaluate", "accuracy of a bundle or model on a test set");
  app.add_option("model", c.model, "bundle.fsb or a model file of a run")->required();
  app.add_option(
      "--data", c.data,
      "source, as data.source in a job (default: that of the file's run, else fashion-mnist)");
  add_device(app, c.device);
  add_json(app, c.json);
}

// CLI11 takes a number beyond 64 bits for the last one that fits.
std::string find_overflow(const std::string& text) {
  errno = 0;
  std::strtoll(text.c_str(), nullptr, 0);
  return errno == ERANGE ? text + " does not fit in 64 bits" : "";
}

void refuse_overflow(CLI::App& app) {
  for (CLI::Option* const option : app.get_options()) {
    const bool is_integer = option->get_type_name().find("INT") != std::string::npos;
    if (is_integer) option->check(CLI::Validator(find_overflow, ""));
  }
  for (CLI::App* const sub : app.get_subcommands([](CLI::App*) { return true; })) {
    refuse_overflow(*sub);
  }
}

void add_all(CLI::App& root, Commands& c) {
  root.require_subcommand(0, 1);
  add_simulate(root, c.simulate);
  add_fedavg(root, c.fedavg);
  add_mpi(root, c.mpi);
  add_inspect(root, c.inspect);
  add_predict(root, c.predict);
  add_evaluate(root, c.evaluate);
  add_site_commands(root, c.sites);
  add_bench_commands(root, c.bench);
  CLI::App& completion = *root.add_subcommand("completion", "shell completion script");
  completion.add_option("shell", c.completion.shell, "bash, zsh or fish")->required();
  CLI::App& version = *root.add_subcommand("version", "version of fedstill and its libraries");
  add_json(version, c.version.json);
  add_examples(root);
  refuse_overflow(root);
}

Command chosen(const CLI::App& root, Commands& c) {
  if (root.got_subcommand("simulate")) return c.simulate;
  if (root.got_subcommand("fedavg")) return c.fedavg;
  if (root.got_subcommand("mpi")) return c.mpi;
  if (root.got_subcommand("inspect")) return c.inspect;
  if (root.got_subcommand("predict")) return c.predict;
  if (root.got_subcommand("evaluate")) return c.evaluate;
  if (const auto site = chosen_site_command(root, c.sites)) return *site;
  if (root.got_subcommand("bench")) return chosen_bench_command(root, c.bench);
  if (root.got_subcommand("completion")) return c.completion;
  if (root.got_subcommand("version")) return c.version;
  return HelpCommand{root.help()};
}

// CLI11 reports an unknown first word as an unexpected argument; a suggestion serves better.
void check_subcommand(int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const auto& outline : command_outlines()) names.push_back(outline.name);
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (std::find(known.begin(), known.end(), argv[1]) == known.end()) {
    throw UsageError("unknown command " + std::string(argv[1]) + did_you_mean(argv[1], known) +
                     "; commands: " + joined(known));
  }
}

// The job of a run that goes on is the one in its folder.
void check_resume(const CLI::App& app) {
  for (const char* other :
       {"job", "--preset", "--run", "--clients-from", "--seed", "--set", "--print-job"}) {
    const CLI::Option* const option = app.get_option_no_throw(other);
    if (option == nullptr || option->count() == 0) continue;
    const bool on_devices = app.get_option_no_throw("--device") != nullptr;
    throw UsageError("--resume takes the job from the run folder; only --workers, " +
                         std::string(on_devices ? "--device, " : "") +
                         "--quiet and --json go with it, not " + other,
                     "fedstill " + app.get_name());
  }
}

CommandOutline outline_of(const CLI::App& app) {
  CommandOutline out{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) out.flags.push_back("--" + name);
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.commands.push_back(outline_of(*sub));
  }
  return out;
}

std::string help_of_chosen(const CLI::App& app, const std::string& before = "") {
  const std::string words = before.empty() ? app.get_name() : before + " " + app.get_name();
  for (const CLI::App* sub : app.get_subcommands()) return help_of_chosen(*sub, words);
  return app.help(before);
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv) {
  check_subcommand(argc, argv);
  CLI::App root(kDescription, "fedstill");
  Commands commands;
  add_all(root, commands);
  bool version = false, json = false;
  root.add_flag("--version", version, "the same as the command version");
  root.add_flag("--json", json)->group("");  // hidden: with --version
  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return HelpCommand{help_of_chosen(root)};
  } catch (const CLI::ParseError& error) {
    throw in_plain_words(error, root);
  }
  if (version) return VersionCommand{json};
  if (json) throw UsageError("--json goes behind a command, as in: fedstill inspect FILE --json");
  if (!commands.simulate.resume.empty()) check_resume(*root.get_subcommand("simulate"));
  if (!commands.fedavg.resume.empty()) check_resume(*root.get_subcommand("fedavg"));
  return chosen(root, commands);
}

std::vector<CommandOutline> command_outlines() {
  CLI::App root(kDescription, "fedstill");
  Commands commands;
  add_all(root, commands);
  return outline_of(root).commands;
}

}  // namespace fedstill
