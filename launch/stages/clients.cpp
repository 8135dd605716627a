#include "launch/stages/clients.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/counted.h"
#include "launch/machine.h"
#include "launch/ranks/crew.h"
#include "launch/stages/client_plan.h"
#include "launch/stages/liar.h"
#include "launch/stages/worker_pool.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/sha256.h"
#include "training/device.h"
#include "training/whose_fit.h"

namespace fedstill {
namespace {

std::vector<std::int64_t> count_classes(const Shard& shard, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes));
  for (const auto label : shard.labels) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

double rate(std::int64_t images, double seconds) {
  return seconds > 0.0 ? static_cast<double>(images) / seconds : 0.0;
}

// Nothing where it is not known.
std::string speed_text(const ClientRecord& record) {
  if (record.images_per_second <= 0.0) return "";
  return ", " + grouped(static_cast<std::int64_t>(record.images_per_second)) + " images/s";
}

// Trains one client, or takes what an earlier attempt left.
class ClientWork {
 public:
  ClientWork(const Run& run, const ClientPlan& plan, std::size_t index, bool lies,
             std::atomic<bool>& first_step)
      : run_(run),
        plan_(plan),
        index_(index),
        lies_(lies),
        first_step_(first_step),
        folder_(run.folder.client(plan.name)) {}

  ClientRecord done() {
    ClientRecord record;
    const bool saved = run_.folder.recall(
        plan_.name, [&](const nlohmann::json& state) { record = client_record(state); });
    if (!saved) return train();
    check_saved(record);
    return record;
  }

  ClientRecord operator()(Federation& federation) {
    ClientRecord record = done();
    federation.upload(plan_.name, folder_ / "update.safetensors");
    run_.progress.finish(index_, plan_.architecture + ", " + counted(record.samples, "image") +
                                     ", " + duration_text(record.seconds) + speed_text(record));
    return record;
  }

 private:
  void check_saved(const ClientRecord& record) const {
    check_recorded(folder_ / "update.safetensors", record.sha256);
    if (record.name == plan_.name && record.samples == plan_.task.shard.images.count()) return;
    throw DecodeError("[run] the state of " + plan_.name + " is of another client");
  }

  ClientRecord train() {
    run_.events.event("client_started", {{"client", plan_.name},
                                         {"architecture", plan_.architecture},
                                         {"samples", plan_.task.shard.images.count()}});
    ClientResult result = whose_fit(plan_.name + " (" + plan_.architecture + ")", [&] {
      return run_client(plan_.task, fit_options("body"), fit_options("head"));
    });
    if (const std::string& refusal = result.refusal(); !refusal.empty()) warn_unrecorded(refusal);
    if (lies_) always_claim(result.update.graph);
    write_model(folder_ / "update.safetensors", result.update.graph);
    ClientRecord record = describe(result);
    run_.folder.remember(plan_.name, to_json(record));
    std::error_code ignored;
    for (const char* part : {"body", "head"}) {
      std::filesystem::remove(folder_ / (std::string(part) + ".checkpoint"), ignored);
    }
    run_.events.event("client_finished", {{"client", plan_.name}, {"sha256", record.sha256}});
    return record;
  }

  FitOptions fit_options(const std::string& part) {
    FitOptions options;
    options.checkpoint = folder_ / (part + ".checkpoint");
    options.stop = &run_.stop;
    const bool head = part == "head";
    options.on_event = [this, head](const FitEvent& e) {
      note_first_step();
      const double share = static_cast<double>(e.step) / static_cast<double>(e.steps);
      const auto images = head ? plan_.load.head_images : plan_.load.body_images;
      run_.progress.advance(index_,
                            (head ? plan_.load.body_images : 0) +
                                static_cast<std::int64_t>(share * static_cast<double>(images)));
      if (!e.end_of_epoch) return;
      run_.events.metric(head ? "head" : "client", plan_.name, e.epoch, e.step, e.loss,
                         rate(e.images, e.seconds), run_.round);
    };
    return options;
  }

  void warn_unrecorded(const std::string& refusal) const {
    const std::string what = plan_.name + "'s steps were not recorded: " + refusal;
    run_.events.event("warning", {{"client", index_}, {"what", what}});
    run_.progress.message(what);
  }

  // How long a user waited from the command to the first training step of the run.
  void note_first_step() {
    if (run_.round > 1) return;
    if (first_step_.exchange(true) || run_.folder.recall("first_step")) return;
    run_.folder.remember("first_step", {{"seconds", seconds_since_process_start()}});
  }

  ClientRecord describe(const ClientResult& result) const {
    ClientRecord record;
    record.name = plan_.name;
    record.architecture = plan_.architecture;
    record.samples = result.update.sample_count;
    record.class_counts = count_classes(plan_.task.shard, plan_.task.classes);
    record.sha256 = sha256_hex_of_file(folder_ / "update.safetensors");
    record.seconds = result.training.seconds + result.head.seconds;
    record.images_per_second = rate(result.training.images, result.training.seconds);
    record.losses = result.training.epoch_losses;
    record.head_losses = result.head.epoch_losses;
    return record;
  }

  const Run& run_;
  const ClientPlan& plan_;
  std::size_t index_;
  bool lies_;
  std::atomic<bool>& first_step_;
  std::filesystem::path folder_;
};

// all: the job's clients; on several ranks others train the rest of them.
void announce(const Run& run, const std::vector<ClientPlan>& plans, std::size_t all) {
  std::vector<Progress::Task> tasks;
  tasks.reserve(plans.size());
  for (const auto& plan : plans) {
    tasks.push_back({plan.name,
                     plan.architecture + ", " + counted(plan.task.shard.images.count(), "image"),
                     plan.load.images()});
  }
  const auto clients = counted(static_cast<std::int64_t>(all), "client");
  run.progress.begin_stage(plans.size() < all ? "training " + std::to_string(plans.size()) +
                                                    " of " + clients + ", the others on other ranks"
                                              : "training " + clients,
                           std::move(tasks));
}

// The last clients lie.
std::size_t honest_clients(const Job& job, const Material& material) {
  return material.shards.size() - static_cast<std::size_t>(job.clients.liars);
}

// Of the clients that train at once: of the machine or of the GPU.
std::int64_t memory_budget(const Run& run) {
  const std::int64_t asked = run.job.run.memory_mb << 20;
  if (run.device.is_cpu()) return asked;
  return device_budget(asked, device_memory(run.device), run.device_ranks);
}

// Begins the stage, and does the work of every plan on the worker pool.
void run_plans(const Run& run, const std::vector<ClientPlan>& plans, std::size_t all,
               const std::function<void(std::size_t)>& work) {
  announce(run, plans, all);
  std::vector<WorkItem> items;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    items.push_back({plans[i].cost, plans[i].memory_bytes, [&work, i] { work(i); }});
  }
  const int threads = static_cast<int>(run.job.clients.threads);
  const int at_once = std::max(1, workers_of(run) / threads);
  run_items(std::move(items), at_once, memory_budget(run), run.stop, threads);
}

}  // namespace

nlohmann::json to_json(const ClientRecord& r) {
  return {{"name", r.name},
          {"architecture", r.architecture},
          {"samples", r.samples},
          {"class_counts", r.class_counts},
          {"sha256", r.sha256},
          {"seconds", r.seconds},
          {"images_per_second", r.images_per_second},
          {"loss_curve", r.losses},
          {"head_loss_curve", r.head_losses}};
}

ClientRecord client_record(const nlohmann::json& saved) {
  return {saved.at("name"),
          saved.at("architecture"),
          saved.at("samples"),
          saved.at("class_counts"),
          saved.at("sha256"),
          saved.at("seconds"),
          saved.at("images_per_second"),
          saved.at("loss_curve"),
          saved.at("head_loss_curve")};
}

std::string client_name(std::size_t index, std::size_t count) {
  const std::size_t digits = std::max<std::size_t>(2, std::to_string(count - 1).size());
  const std::string number = std::to_string(index);
  return "client-" + std::string(digits - std::min(digits, number.size()), '0') + number;
}

void train_some(const Run& run, const Material& material, const std::vector<std::size_t>& clients,
                const std::function<void(const ClientRecord&)>& on_done) {
  std::vector<ClientPlan> plans;
  plans.reserve(clients.size());
  for (const std::size_t i : clients) plans.push_back(plan_client(run, material, i));
  const std::size_t honest = honest_clients(run.job, material);
  std::atomic<bool> first_step{false};
  run_plans(run, plans, material.shards.size(), [&](std::size_t i) {
    const ClientRecord record =
        ClientWork(run, plans[i], i, clients[i] >= honest, first_step).done();
    if (on_done) on_done(record);
    run.progress.finish(i, plans[i].architecture);
  });
  run.progress.end_stage(std::to_string(plans.size()) + " trained");
}

std::vector<ClientRecord> train_clients(const Run& run, const Material& material,
                                        Federation& federation) {
  if (run.crew != nullptr) run.crew->train(run, material);
  std::vector<ClientPlan> plans;
  for (std::size_t i = 0; i < material.shards.size(); ++i) {
    plans.push_back(plan_client(run, material, i));
    federation.join(plans[i].name, first_architecture(run.job, i),
                    plans[i].task.shard.images.count());
  }
  const std::size_t honest = honest_clients(run.job, material);
  std::vector<ClientRecord> records(plans.size());
  std::atomic<bool> first_step{false};
  run_plans(run, plans, material.shards.size(), [&](std::size_t i) {
    records[i] = ClientWork(run, plans[i], i, i >= honest, first_step)(federation);
  });
  run.progress.end_stage(counted(std::ssize(plans), "update") + " received");
  return records;
}

}  // namespace fedstill
