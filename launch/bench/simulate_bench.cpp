#include "launch/bench/simulate_bench.h"

#include <array>
#include <cstdio>
#include <iostream>
#include <numeric>

#include "launch/bench/federation.h"
#include "launch/machine.h"
#include "launch/text_table.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

struct Side {
  std::string name;
  double trainings_per_second = 0.0, seconds = 0.0, accuracy = 0.0;
  std::int64_t memory_bytes = 0;
};

ImageView whole(const Dataset& dataset) {
  ImageView view{dataset.images, std::vector<std::int64_t>(dataset.labels.size())};
  std::iota(view.indices.begin(), view.indices.end(), std::int64_t{0});
  return view;
}

double test_accuracy(const BenchFederation& f, const Graph& model) {
  const std::vector<std::string> outputs{"logits"};
  set_thread_count(usable_cores());
  constexpr std::int64_t kBlock = 100;
  const auto scores = predict(model, outputs, whole(f.data.test), f.normalisation, kBlock);
  return accuracy(scores.front(), f.data.test.labels);
}

Side measure_ours(const BenchFederation& f, const Engine& engine, Progress& progress,
                  std::atomic<bool>& stop) {
  const std::int64_t trainings = f.workload.rounds * f.workload.per_round;
  progress.begin_stage("fedstill", {{.name = f.name, .note = "", .total = trainings}});
  std::vector<float> weights = engine.flatten(f.first);
  FedAvgOptions options = f.options;
  options.stop = &stop;
  options.on_round = [&](std::int64_t done) { progress.advance(0, done * options.per_round); };
  const FedAvgReport report = run_fedavg(weights, engine, f.shards, options);
  Side side{.name = "fedstill", .seconds = report.seconds};
  side.trainings_per_second = static_cast<double>(report.trainings) / report.seconds;
  side.accuracy = test_accuracy(f, engine.unflatten(weights));
  side.memory_bytes = peak_rss_bytes();
  progress.finish(0, "");
  progress.end_stage("fedstill: " + duration_text(report.seconds));
  return side;
}

json to_json(const Side& side) {
  return {{"name", side.name},
          {"trainings_per_second", side.trainings_per_second},
          {"seconds", side.seconds},
          {"test_accuracy", side.accuracy},
          {"peak_rss_bytes", side.memory_bytes}};
}

std::string fixed(double value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::vector<std::string> row(const Side& side) {
  return {side.name,
          "",
          fixed(side.trainings_per_second, 1),
          fixed(side.seconds, 2),
          fixed(100.0 * side.accuracy, 2),
          fixed(static_cast<double>(side.memory_bytes) / 1e6, 0)};
}

}  // namespace

BenchResult bench_simulate(const BenchSimulateCommand& command, std::atomic<bool>& stop) {
  Progress progress(std::cerr, terminal_progress(command.output.quiet));
  const BenchFederation federation = make_federation(command);
  const auto engine = make_engine(federation, command);
  const Side ours = measure_ours(federation, *engine, progress, stop);
  BenchResult result;
  result.json = command.output.json;
  result.data = {{"status", "success"}, {"fedstill", to_json(ours)}};
  result.text = text_table(
      {{"", "", "trainings/s", "seconds", "test accuracy %", "peak memory MB"}, row(ours)});
  return result;
}

}  // namespace fedstill
