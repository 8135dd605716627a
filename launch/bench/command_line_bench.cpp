#include "launch/bench/command_line_bench.h"

#include <CLI/CLI.hpp>

#include "launch/command_line.h"
#include "launch/command_line_options.h"
#include "training/device.h"

namespace fedstill {
namespace {

const CLI::Range kCount(std::int64_t{1}, std::int64_t{10'000'000});

void add_output(CLI::App& app, BenchOutput& output) {
  add_quiet(app, output.quiet);
  add_json(app, output.json);
}

void add_federation(CLI::App& app, BenchSimulateCommand& c) {
  app.add_option("--clients", c.clients, "how many there are")->check(kCount);
  app.add_option("--images", c.images, "of each client")->check(kCount);
  app.add_option("--per-round", c.per_round, "clients that train in a round")->check(kCount);
  app.add_option("--rounds", c.rounds, "until the end")->check(kCount);
  app.add_option("--batch", c.batch, "images of a local step")->check(kCount);
  app.add_option("--epochs", c.epochs, "local ones of a round")->check(kCount);
  app.add_option("--lr", c.learning_rate, "local learning rate of SGD without momentum");
  app.add_option("--server-lr", c.server_learning_rate, "share of the averaged step that is taken");
  app.add_option("--weighting", c.weighting, "of the clients in the average")
      ->check(CLI::IsMember({"samples", "uniform"}));
}

void add_simulate_bench(CLI::App& bench, BenchSimulateCommand& c) {
  CLI::App& app = *bench.add_subcommand(
      "simulate", "FedAvg with many small clients, beside a bare PyTorch loop");
  app.add_option("--workload", c.workload,
                 "W1 (logistic regression, 1,000 clients of 60 images) or W2 (two convolutions, "
                 "1,000 of 50)")
      ->check(CLI::IsMember({"W1", "W2"}));
  app.add_option("--model", c.model, "an architecture of the zoo instead of the workload's");
  app.add_option("--data", c.data, "source, as data.source in a job (default: fashion-mnist)");
  app.add_option("--split", c.split, "how the images are dealt out, as clients.split in a job");
  app.add_option("--alpha", c.alpha, "of the Dirichlet splits");
  add_federation(app, c);
  app.add_option("--engine", c.engine, "closed-form (chains of plain layers), autograd (any model)")
      ->check(CLI::IsMember({"auto", "closed-form", "autograd"}));
  app.add_flag(
      "--bf16", c.bf16,
      "products in bfloat16, sums and weights in float32; pays where the processor is faster so");
  app.add_option("--workers", c.workers, "clients trained at once")->check(CLI::Range(1, 4096));
  app.add_option("--repeats", c.repeats, "of both sides, in turn; medians are shown")
      ->check(CLI::Range(1, 100));
  app.add_option("--seed", c.seed, "of weights, shards, sampling and order");
  app.add_flag("--alone", c.alone, "without the bare loop");
  app.add_flag("--mpi", c.mpi, "the ranks of mpirun share the clients of every round");
  add_output(app, c.output);
  app.footer(R"(Examples:
  FEDSTILL_BENCH_PYTHON=python3 fedstill bench simulate --workload W1 --repeats 3
  fedstill bench simulate --workload W1 --clients 100000 --alone
  fedstill bench simulate --workload W2 --bf16
  mpirun -np 2 fedstill bench simulate --workload W2 --mpi --alone
  fedstill bench simulate --model resnet8 --split dirichlet-clients --rounds 20 --alone

The bare loop needs a Python that imports torch: FEDSTILL_BENCH_PYTHON names it.)");
}

void add_distill_bench(CLI::App& bench, BenchDistillCommand& c) {
  CLI::App& app = *bench.add_subcommand(
      "distill", "data-parallel distillation on several ranks, beside PyTorch");
  app.add_option("--ranks", c.ranks,
                 "how many, separated by commas; one is always measured (not with --device cuda)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  app.add_option("--student", c.student, "architecture, as distillation.student in a job");
  app.add_option("--batch", c.batch, "images of a step, of all ranks together")->check(kCount);
  app.add_option("--images", c.images, "of an epoch")->check(kCount);
  app.add_option("--repeats", c.repeats, "of all ways, in turn; medians are shown")
      ->check(CLI::Range(1, 100));
  app.add_option("--plot", c.plot,
                 "an SVG picture of the scaling to write (not with --device cuda)");
  app.add_flag("--alone", c.alone, "without PyTorch");
  add_device(app, c.device);
  app.add_flag("--bf16", c.bf16, "with --device cuda: convolutions in bfloat16");
  for (CLI::Option* own : {app.add_flag("--as-rank", c.as_rank), app.add_flag("--after", c.after)})
    own->group("");  // hidden: what it says to itself under mpirun
  add_output(app, c.output);
  app.footer(R"(Examples:
  fedstill bench distill --ranks 1,2,4 --plot scaling.svg
  FEDSTILL_BENCH_PYTHON=python3 fedstill bench distill --ranks 1,2 --repeats 5
  FEDSTILL_BENCH_PYTHON=python3 fedstill bench distill --device cuda    one rank on a GPU

Ranks are threads of this process, and processes where mpirun is found. PyTorch's
DistributedDataParallel needs a Python that imports torch: FEDSTILL_BENCH_PYTHON names it.)");
}

// What the measurement on that device does not look at is refused, not ignored.
void check_distill_bench(const CLI::App& app, const BenchDistillCommand& c) {
  const bool on_gpu = parse_device(c.device).cuda;
  const auto refuse = [&app](const char* option, const char* why) {
    if (app.count(option) == 0) return;
    throw UsageError(std::string("bench distill: ") + option + " is " + why,
                     "fedstill bench distill");
  };
  if (on_gpu) {
    refuse("--ranks", "for the processor; on a GPU one rank is measured");
    refuse("--plot", "for the processor; on a GPU no scaling is measured");
  } else {
    refuse("--bf16", "for --device cuda; on the processor float32 is measured");
  }
}

}  // namespace

void add_bench_commands(CLI::App& root, BenchCommands& commands) {
  CLI::App& bench = *root.add_subcommand("bench", "measure this machine beside other programs");
  bench.require_subcommand(1);
  bench.footer(R"(Examples:
  fedstill bench simulate --workload W1 --alone
  fedstill bench distill --ranks 1,2,4 --plot scaling.svg

fedstill bench simulate --help and fedstill bench distill --help tell the rest.)");
  add_simulate_bench(bench, commands.simulate);
  add_distill_bench(bench, commands.distill);
}

BenchCommand chosen_bench_command(const CLI::App& root, const BenchCommands& commands) {
  const CLI::App& bench = *root.get_subcommand("bench");
  if (bench.got_subcommand("distill")) {
    check_distill_bench(*bench.get_subcommand("distill"), commands.distill);
    return commands.distill;
  }
  return commands.simulate;
}

}  // namespace fedstill
