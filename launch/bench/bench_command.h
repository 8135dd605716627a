#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace fedstill {

// What every measurement is asked beside its own settings.
struct BenchOutput {
  bool quiet = false, json = false;
};

// FedAvg with many small clients, beside the same arithmetic as a bare PyTorch loop. What is not
// set comes from the workload.
struct BenchSimulateCommand {
  std::string workload = "W1";
  std::string model, data = "fashion-mnist", split = "iid", engine = "auto";
  std::string weighting = "samples";
  double alpha = 0.1;
  std::optional<std::int64_t> clients, images, per_round, rounds, batch, epochs;
  std::optional<double> learning_rate;
  double server_learning_rate = 1.0;
  bool bf16 = false;  // products of the local steps in bfloat16
  std::int64_t workers = 1, repeats = 1;
  std::uint64_t seed = 0;
  bool alone = false;  // without the bare loop
  bool mpi = false;    // the ranks of mpirun share the clients of a round
  BenchOutput output;
};

// How data-parallel distillation scales over ranks.
struct BenchDistillCommand {
  std::vector<std::int64_t> ranks{1, 2};
  std::string student = "resnet8";
  std::int64_t batch = 128, images = 6144, repeats = 3;  // batch: of all ranks together
  std::string device = "cpu";                            // of this machine, by one rank
  bool bf16 = false;                                     // there
  std::filesystem::path plot;                            // an SVG picture to write, or nothing
  bool alone = false;                                    // without PyTorch
  bool as_rank = false, after = false;                   // of a group that mpirun started
  BenchOutput output;
};

using BenchCommand = std::variant<BenchSimulateCommand, BenchDistillCommand>;

}  // namespace fedstill
