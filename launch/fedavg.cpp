#include "launch/fedavg.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "averaging/client_shards.h"
#include "averaging/fedavg.h"
#include "launch/counted.h"
#include "launch/event_log.h"
#include "launch/fedavg_model.h"
#include "launch/finished_result.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/line_plot.h"
#include "launch/machine.h"
#include "launch/outside_text.h"
#include "launch/ranks/fedavg_ranks.h"
#include "launch/ranks/started.h"
#include "launch/simulate.h"
#include "launch/stages/accuracy.h"
#include "model/atomic_file.h"
#include "model/cost.h"
#include "model/model_file.h"
#include "model/sha256.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;
constexpr std::size_t kMaxResultBytes = std::size_t{64} << 20;

void check_averaging(const Job& job, const Material& material) {
  check_fits("averaging.model", job.averaging.model, material.data.train);
  if (job.averaging.per_round > job.clients.count) {
    throw JobError("[job] averaging.per_round = " + std::to_string(job.averaging.per_round) +
                   ", but clients.count is " + std::to_string(job.clients.count));
  }
  if (job.clients.liars > 0) throw JobError("[job] clients.liars is not for fedavg");
}

// The run: weights, and what was measured after every round.
class Baseline {
 public:
  Baseline(const Run& run, const Material& material, const FedAvgRanks* ranks)
      : run_(run),
        material_(material),
        ranks_(ranks),
        settings_(run.job.averaging),
        validation_(make_shard(material.data.train, material.split.validation)),
        model_(run.job, material),
        weights_(model_.engine->flatten(model_.first)) {
    run_.folder.recall("averaging", [this](const json& saved) { take_up(saved); });
  }

  json finish() {
    timed_stage(run_, "averaging", [this] { average(); });
    if (auto result = find_finished()) {
      forget(done());
      return *result;
    }
    const Graph model = model_.engine->unflatten(weights_);
    const std::vector<std::byte> bytes = encode_model(model);
    write_file_atomically(run_.folder.file("model.safetensors"), bytes);
    json result = describe(total_cost(model).parameters, sha256_hex(bytes));
    write_file_atomically(run_.folder.file("accuracy.svg"), picture());
    write_file_atomically(run_.folder.file("fedavg.json"), json_text(result, 1) + "\n");
    forget(done());
    run_.events.event("run_finished", {{"model", result.at("averaged").at("sha256")}});
    return result;
  }

 private:
  std::int64_t done() const { return std::ssize(rounds_); }
  std::filesystem::path kept(std::int64_t round) const {
    return run_.folder.file("round-" + std::to_string(round) + ".safetensors");
  }
  void forget(std::int64_t round) const {
    std::error_code ignored;
    std::filesystem::remove(kept(round), ignored);
  }

  // What a run that was finished before left, so that going on with it changes nothing.
  std::optional<json> find_finished() const {
    for (const char* made : {"model.safetensors", "accuracy.svg"}) {
      if (!std::filesystem::exists(run_.folder.file(made))) return std::nullopt;
    }
    const std::string run = run_.folder.path().string();
    auto result = finished_result(run_.folder, "fedavg.json", kMaxResultBytes, [&](json found) {
      if (found.at("averaged").at("sha256") != sha256_) return false;
      found["run"] = run;
      fedavg_text(found);  // everything that is told is there
      return true;
    });
    if (result) (*result)["run"] = run;
    return result;
  }

  void take_up(const json& saved) {
    rounds_ = saved.at("rounds").get<std::vector<json>>();
    const bool finished = done() == settings_.rounds;
    const auto file = finished && !std::filesystem::exists(kept(done()))
                          ? run_.folder.file("model.safetensors")
                          : kept(done());
    sha256_ = saved.at("sha256");
    check_recorded(file, sha256_);
    weights_ = model_.engine->flatten(read_model(file));
  }

  std::int64_t round_images() const {  // on average
    return std::max<std::int64_t>(1, run_.job.data.private_count * settings_.epochs *
                                         fedavg_options(run_.job).per_round /
                                         run_.job.clients.count);
  }

  FedAvgOptions options() {
    FedAvgOptions options = fedavg_options(run_.job);
    options.first_round = done();
    options.stop = &run_.stop;
    options.on_round = [this](std::int64_t) { after_round(); };
    if (ranks_ != nullptr) ranks_->share(run_, material_, weights_, options);
    return options;
  }

  void average() {
    set_thread_count(1);  // this thread trains clients as the others do
    run_.progress.begin_stage(
        "averaging",
        {{.name = settings_.model, .note = "", .total = settings_.rounds * round_images()}});
    run_.progress.advance(0, done() * round_images());
    run_fedavg(weights_, *model_.engine, shards_of(material_.split), options());
    run_.progress.finish(0, counted(done(), "round"));
    run_.progress.end_stage(percent(rounds_.back().at("test_accuracy")) + " % right after " +
                            counted(done(), "round"));
  }

  // The round counts when its state is written; what a kill leaves before that is done again.
  void after_round() {
    const Graph model = model_.engine->unflatten(weights_);
    const json round{
        {"round", done() + 1},
        {"validation_accuracy", accuracy_on(model, validation_, run_, material_)},
        {"test_accuracy",
         accuracy_on(model, {material_.test, material_.test_labels.labels}, run_, material_)}};
    rounds_.push_back(round);
    const std::vector<std::byte> bytes = encode_model(model);
    write_file_atomically(kept(done()), bytes);
    sha256_ = sha256_hex(bytes);
    run_.folder.remember("averaging", {{"rounds", rounds_}, {"sha256", sha256_}});
    forget(done() - 1);
    run_.events.event("round_finished", round);
    run_.progress.advance(0, done() * round_images());
  }

  json describe(std::int64_t parameters, const std::string& sha256) const {
    const json& last = rounds_.back();
    return {{"status", "success"},
            {"schema_version", 1},
            {"run", run_.folder.path().string()},
            {"job", job_json(run_.job)},
            {"seed", run_.job.run.seed},
            {"data",
             {{"source", run_.job.data.source},
              {"mean", material_.normalisation.mean},
              {"deviation", material_.normalisation.deviation}}},
            {"split", {{"hash", material_.split.hash()}}},
            {"averaged",
             {{"architecture", settings_.model},
              {"parameters", parameters},
              {"sha256", sha256},
              {"validation_accuracy", last.at("validation_accuracy")},
              {"test_accuracy", last.at("test_accuracy")}}},
            {"rounds", rounds_},
            {"seconds", stage_seconds(run_)},
            {"peak_rss_bytes", peak_rss_bytes()},
            {"machine", machine_json()}};
  }

  std::string picture() const {
    PlotLine test{.name = "test images"};
    for (const json& round : rounds_) {
      test.points.push_back({round.at("round"), 100.0 * round.at("test_accuracy").get<double>()});
    }
    return draw({.title = "FedAvg, " + settings_.model + ", " +
                          counted(run_.job.clients.count, "client") + ", " + run_.job.clients.split,
                 .x = "rounds",
                 .y = "% right",
                 .x_end = static_cast<double>(settings_.rounds),
                 .y_end = 100.0,
                 .lines = {std::move(test)}});
  }

  static std::string percent(double share) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2f", 100.0 * share);
    return text.data();
  }

  const Run& run_;
  const Material& material_;
  const FedAvgRanks* const ranks_;  // null: alone
  const Job::Averaging& settings_;
  const Shard validation_;
  const AveragedModel model_;
  std::vector<float> weights_;
  std::vector<json> rounds_;  // that are over
  std::string sha256_;        // of the model after them
};

json run_in(const Run& run, const Material& material, bool resumed, const FedAvgRanks* ranks) {
  run.events.event(resumed ? "run_resumed" : "run_started",
                   {{"program", "fedavg"}, {"split", material.split.hash()}});
  run.progress.message((resumed ? "resuming " : "run folder ") + run.folder.path().string());
  return Baseline(run, material, ranks).finish();
}

}  // namespace

json fedavg(const FedAvgCommand& command, Progress& progress, std::atomic<bool>& stop) {
  std::optional<FedAvgRanks> ranks;
  if (started_ranks() > 1) ranks.emplace();
  if (ranks && !ranks->lead()) {
    ranks->help(stop);
    return nullptr;
  }
  const auto work = [&](const Run& run, const Material& material, bool resumed) {
    return run_in(run, material, resumed, ranks ? &*ranks : nullptr);
  };
  return in_run_folder(command,
                       {.name = "fedavg",
                        .check = check_averaging,
                        .work = work,
                        .shared = ranks.has_value(),
                        .on_devices = false},
                       progress, stop);
}

std::string fedavg_text(const json& result) {
  const auto& averaged = result.at("averaged");
  std::array<char, 128> line{};
  std::snprintf(line.data(), line.size(), "\nFedAvg, %s: %.2f %% of the test images right\n",
                counted(std::ssize(result.at("rounds")), "round").c_str(),
                100.0 * averaged.at("test_accuracy").get<double>());
  return line.data() + printable(averaged.at("architecture")) + ", " +
         grouped(averaged.at("parameters")) + " parameters, peak memory " +
         grouped(result.at("peak_rss_bytes").get<std::int64_t>() / 1'000'000) + " MB\nModel   " +
         printable(averaged.at("sha256")) + "\nPicture " + printable(result.at("run")) +
         "/accuracy.svg\n";
}

}  // namespace fedstill
