#include "launch/bench/simulate_bench.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>

#include "collective/mpi/mpi.h"
#include "data/whole_view.h"
#include "launch/bench/bare_loop.h"
#include "launch/bench/federation.h"
#include "launch/counted.h"
#include "launch/machine.h"
#include "launch/ranks/started.h"
#include "launch/text_table.h"
#include "model/sha256.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

// The ranks of mpirun, or none.
class Ranks {
 public:
  explicit Ranks(bool wanted) {
    if (!wanted) return;
    refuse_strangers();
    session_.emplace();
    mpi::Options options;
    options.deadline = std::chrono::hours(24);  // rank 0 alone runs the bare loop
    group_ = mpi::make(*session_, options);
  }
  Collective* group() const { return group_.get(); }
  int size() const { return group_ ? group_->size() : 1; }
  bool lead() const { return !group_ || group_->rank() == 0; }
  void meet() const {
    if (group_) group_->barrier().wait();
  }

 private:
  std::optional<mpi::Session> session_;
  std::unique_ptr<Collective> group_;
};

double test_accuracy(const BenchFederation& f, const Graph& model) {
  const std::vector<std::string> outputs{"logits"};
  set_thread_count(f.options.workers);  // no more cores than were asked for
  constexpr std::int64_t kBlock = 100;
  const auto scores =
      predict(model, outputs, whole(f.data.test.images), f.normalisation, {.block = kBlock});
  return accuracy(scores.front(), f.data.test.labels);
}

SimulationResult run_ours(const BenchFederation& f, const Engine& engine, double start_up,
                          Progress& progress, std::atomic<bool>& stop) {
  const std::int64_t images = images_of_round(f);
  progress.begin_stage("fedstill",
                       {{.name = f.name, .note = "", .total = f.options.rounds * images}});
  std::vector<float> weights = engine.flatten(f.first);
  FedAvgOptions options = f.options;
  options.stop = &stop;
  options.on_round = [&](std::int64_t done) { progress.advance(0, done * images); };
  const FedAvgReport report = run_fedavg(weights, engine, f.shards, options);
  SimulationResult result{.seconds = report.seconds, .start_up_seconds = start_up};
  result.trainings = report.trainings;
  result.trained = engine.unflatten(weights);
  result.test_accuracy = test_accuracy(f, result.trained);
  result.memory_bytes = peak_rss_bytes();
  progress.finish(0, "");
  progress.end_stage(duration_text(report.seconds));
  return result;
}

// The repeat with the median time.
const SimulationResult& median(std::vector<SimulationResult>& repeats) {
  const auto middle = repeats.begin() + std::ssize(repeats) / 2;
  std::ranges::nth_element(repeats, middle, {}, &SimulationResult::seconds);
  return *middle;
}

double rate(const SimulationResult& r) { return static_cast<double>(r.trainings) / r.seconds; }

// Of all weights, to tell whether two runs ended the same.
std::string hash_of(const Graph& model) {
  Sha256 hash;
  for (const auto& [name, tensor] : model.tensors) hash.update(tensor.bytes());
  return hash.hex();
}

json to_json(const SimulationResult& r, const std::vector<SimulationResult>& repeats) {
  json seconds = json::array();
  for (const auto& repeat : repeats) seconds.push_back(repeat.seconds);
  return {{"trainings_per_second", rate(r)},  {"seconds", r.seconds},
          {"seconds_of_repeats", seconds},    {"start_up_seconds", r.start_up_seconds},
          {"test_accuracy", r.test_accuracy}, {"trained_sha256", hash_of(r.trained)},
          {"peak_rss_bytes", r.memory_bytes}};
}

double largest_difference(const Graph& a, const Graph& b) {
  double most = 0.0;
  for (const auto& [name, tensor] : a.tensors) {
    const auto left = tensor.values<float>(), right = b.tensors.at(name).values<float>();
    for (std::size_t i = 0; i < left.size(); ++i) {
      most = std::max(most, static_cast<double>(std::fabs(left[i] - right[i])));
    }
  }
  return most;
}

std::string text_of(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::vector<std::string> row(const std::string& name, const SimulationResult& r) {
  return {name,
          "",
          text_of("%.1f", rate(r)),
          text_of("%.2f", r.seconds),
          text_of("%.1f", r.start_up_seconds),
          text_of("%.2f", 100.0 * r.test_accuracy),
          text_of("%.0f", static_cast<double>(r.memory_bytes) / 1e6)};
}

std::string python() {
  const char* const named = std::getenv("FEDSTILL_BENCH_PYTHON");
  return named == nullptr ? "python3" : named;
}

std::string headline(const BenchFederation& f, const std::string& engine, int ranks) {
  const Workload& w = f.workload;
  return f.name + ": " + counted(f.shards.clients(), "client") + " of " +
         counted(w.images, "image") + ", " + grouped(w.per_round) + " a round, " +
         counted(w.rounds, "round") + ", batches of " + grouped(w.steps.batch) +
         ", learning rate " + text_of("%g", w.steps.learning_rate) + "; " + engine +
         (w.steps.bf16 ? ", bfloat16" : "") + ", workers: " + std::to_string(f.options.workers) +
         (ranks > 1 ? " on each of " + std::to_string(ranks) + " ranks" : "") + "\n\n";
}

// All repeats of both programs, in turn.
struct Measured {
  std::vector<SimulationResult> ours, bare;
  std::string missing;  // why there is no bare loop
};

Measured measure(const BenchSimulateCommand& command, const BenchFederation& f,
                 const BenchEngine& engine, const Ranks& ranks, std::atomic<bool>& stop) {
  Progress progress(std::cerr, terminal_progress(command.output.quiet || !ranks.lead()));
  if (!engine.warning.empty() && ranks.lead()) progress.message(engine.warning);
  const double start_up = seconds_since_process_start();
  Measured found;
  if (command.alone) found.missing = "the bare loop was not asked for";
  for (std::int64_t i = 0; i < command.repeats; ++i) {
    ranks.meet();
    found.ours.push_back(run_ours(f, *engine.engine, start_up, progress, stop));
    if (!found.missing.empty() || !ranks.lead()) continue;
    BareLoop loop = run_bare_loop(f, python(), progress, stop);
    found.missing = loop.missing;
    if (loop.result) found.bare.push_back(std::move(*loop.result));
  }
  return found;
}

// Adds the bare loop's side and returns the lines below the table.
std::string compare(const SimulationResult& mine, Measured& found, json& data,
                    std::vector<std::vector<std::string>>& rows) {
  if (found.bare.empty()) {
    data["bare_loop_missing"] = found.missing;
    return found.missing + "\n";
  }
  const SimulationResult& theirs = median(found.bare);
  const double times = rate(mine) / rate(theirs);
  const double apart = largest_difference(mine.trained, theirs.trained);
  rows.push_back(row("bare PyTorch loop", theirs));
  data["bare_loop"] = to_json(theirs, found.bare);
  data["times_bare_loop"] = times;
  data["largest_weight_difference"] = apart;
  return text_of("%.2f × the bare loop; ", times) +
         text_of("the trained weights differ by at most %.1e\n", apart);
}

}  // namespace

BenchResult bench_simulate(const BenchSimulateCommand& command, std::atomic<bool>& stop) {
  const Ranks ranks(command.mpi);
  BenchFederation f = make_federation(command);
  f.options.group = ranks.group();
  const BenchEngine engine = make_engine(f, command);
  Measured found = measure(command, f, engine, ranks, stop);
  BenchResult result;
  result.json = command.output.json;
  if (!ranks.lead()) return result;
  const SimulationResult& mine = median(found.ours);
  result.data = {{"status", "success"},
                 {"workload", f.name},
                 {"engine", engine.name},
                 {"bf16", command.bf16},
                 {"workers", f.options.workers},
                 {"ranks", ranks.size()},
                 {"seed", command.seed},
                 {"machine", machine_json()},
                 {"fedstill", to_json(mine, found.ours)}};
  std::vector<std::vector<std::string>> rows{
      {"", "", "trainings/s", "seconds", "start-up s", "test accuracy %", "peak memory MB"},
      row("fedstill", mine)};
  const std::string after = compare(mine, found, result.data, rows);
  result.text = headline(f, engine.name, ranks.size()) + text_table(std::move(rows)) + "\n" + after;
  return result;
}

}  // namespace fedstill
