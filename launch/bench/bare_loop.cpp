#include "launch/bench/bare_loop.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/bench/child_process.h"
#include "launch/bench/scripts.h"
#include "launch/bench/work_folder.h"
#include "training/fit.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kNoTorch = 3;  // exit status of the script

// Weight and bias of every node in order, as nn.Sequential has them.
std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    names.insert(names.end(), node.parameters.begin(), node.parameters.end());
  }
  return names;
}

void write_images(const WorkFolder& folder, const std::string& name, const Dataset& data) {
  folder.write((name + ".u8").c_str(), std::span<const std::uint8_t>(data.images->pixels));
  folder.write((name + ".labels").c_str(), std::span<const std::int32_t>(data.labels));
}

// Which images every training sees, in which order, and what it counts in the average.
void write_trainings(const WorkFolder& folder, const BenchFederation& f) {
  std::vector<std::int64_t> order, lengths;
  std::vector<double> shares;
  for (std::int64_t round = 0; round < f.options.rounds; ++round) {
    const auto clients = clients_of_round(f.shards.clients(), f.options, round);
    const auto round_shares = shares_of_round(f.shards, clients, f.options);
    shares.insert(shares.end(), round_shares.begin(), round_shares.end());
    for (const std::int64_t client : clients) {
      const auto rows = f.shards.of(client);
      EpochShuffle shuffle(std::ssize(rows), f.workload.steps.batch,
                           training_key(f.options.seed, round, client));
      const std::size_t before = order.size();
      for (std::int64_t epoch = 0; epoch < f.workload.steps.epochs; ++epoch) {
        for (std::int64_t step = 0; step < shuffle.steps(); ++step) {
          for (const std::int64_t place : shuffle.rows(epoch, step)) {
            order.push_back(rows[static_cast<std::size_t>(place)]);
          }
        }
      }
      lengths.push_back(static_cast<std::int64_t>(order.size() - before));
    }
  }
  folder.write("order.i64", std::span<const std::int64_t>(order));
  folder.write("lengths.i64", std::span<const std::int64_t>(lengths));
  folder.write("shares.f64", std::span<const double>(shares));
}

void write_plan(const WorkFolder& folder, const BenchFederation& f) {
  const ImageShape& image = f.data.train.images->shape;
  const std::string plan = json{{"model", f.name},
                                {"image", {image.channels, image.height, image.width}},
                                {"classes", f.data.train.classes()},
                                {"rounds", f.options.rounds},
                                {"per_round", f.options.per_round},
                                {"batch", f.workload.steps.batch},
                                {"learning_rate", f.workload.steps.learning_rate},
                                {"server_learning_rate", f.options.server_learning_rate}}
                               .dump();
  folder.write("plan.json", std::span<const char>(plan));
  std::vector<float> weights;
  for (const std::string& name : parameter_names(f.first)) {
    const auto values = f.first.tensors.at(name).values<float>();
    weights.insert(weights.end(), values.begin(), values.end());
  }
  folder.write("weights.f32", std::span<const float>(weights));
  folder.write("loop.py", std::span<const char>(bench_scripts::bare_fedavg()));
}

Graph read_trained(const WorkFolder& folder, const Graph& first) {
  Graph graph = first;
  std::ifstream in(folder.file("trained.f32"), std::ios::binary);
  for (const std::string& name : parameter_names(first)) {
    const std::span<float> values = graph.tensors.at(name).values<float>();
    in.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size_bytes()));
  }
  if (!in) {
    throw std::system_error(errno, std::generic_category(),
                            "[bench] cannot read " + folder.file("trained.f32").string());
  }
  return graph;
}

SimulationResult read_result(const WorkFolder& folder, const Graph& first) {
  std::ifstream in(folder.file("result.json"));
  const json found = json::parse(in);
  return {.seconds = found.at("seconds"),
          .start_up_seconds = found.at("start_up_seconds"),
          .test_accuracy = found.at("test_accuracy"),
          .trainings = found.at("trainings"),
          .memory_bytes = found.at("peak_rss_bytes"),
          .trained = read_trained(folder, first)};
}

std::string seconds_since_epoch() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6f", now.count());
  return text.data();
}

}  // namespace

BareLoop run_bare_loop(const BenchFederation& f, const std::string& python, Progress& progress,
                       std::atomic<bool>& stop) {
  if (f.name != "W1" && f.name != "W2") {
    return {std::nullopt, "the bare loop has the models of W1 and W2 only, not " + f.name};
  }
  const WorkFolder folder;
  write_images(folder, "train", f.data.train);
  write_images(folder, "test", f.data.test);
  write_trainings(folder, f);
  write_plan(folder, f);
  progress.begin_stage(
      "bare PyTorch loop",
      {{.name = f.name, .note = "", .total = f.options.rounds * images_of_round(f)}});
  const int status = run_child(
      {python, folder.file("loop.py").string(), folder.path().string(), seconds_since_epoch()},
      [&](const std::string& line) {
        progress.advance(0, std::atoll(line.c_str()) * images_of_round(f));
      },
      stop);
  if (stop.load()) throw Stopped("[bench] stopped");
  if (status == kNoTorch || status == kCannotStart) {
    progress.abandon();
    return {std::nullopt, "no bare PyTorch loop: " + python +
                              " cannot import torch; name a Python that can with "
                              "FEDSTILL_BENCH_PYTHON"};
  }
  if (status != 0) {
    throw std::runtime_error("[bench] the bare loop ended with status " + std::to_string(status));
  }
  BareLoop loop{read_result(folder, f.first), ""};
  progress.finish(0, "");
  progress.end_stage(duration_text(loop.result->seconds));
  return loop;
}

}  // namespace fedstill
