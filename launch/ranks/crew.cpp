#include "launch/ranks/crew.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "launch/ranks/blob_exchange.h"
#include "launch/ranks/depot.h"
#include "launch/ranks/placement.h"
#include "launch/ranks/say.h"
#include "launch/stages/client_plan.h"
#include "launch/stages/clients.h"
#include "launch/stages/rounds.h"
#include "launch/stages/student.h"
#include "model/cost.h"
#include "model/model_file.h"
#include "training/fit.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

Elements elements_of(const at::Tensor& dense) {
  return {dense.mutable_data_ptr<float>(), static_cast<std::size_t>(dense.numel()),
          ElementType::kFloat32};
}

const ImageView& images_of(const Material& material, bool test_images) {
  return test_images ? material.test : material.pool.images;
}

// Costliest first: what one wave holds is of about one size, so that nobody waits long.
std::vector<std::size_t> by_cost(const std::vector<Teacher>& teachers,
                                 const PredictionCache& cache) {
  std::vector<double> costs;
  std::vector<std::size_t> open;
  for (std::size_t k = 0; k < teachers.size(); ++k) {
    const bool done = cache.done(static_cast<std::int64_t>(k));
    costs.push_back(
        done ? 0.0 : static_cast<double>(total_cost(read_model(teachers[k].model)).multiply_adds));
    if (!done) open.push_back(k);
  }
  std::ranges::stable_sort(open, std::ranges::greater(), [&](std::size_t k) { return costs[k]; });
  return open;
}

}  // namespace

void Crew::share_gradients(DataParallel& parallel) const {
  const bool on_devices = links_.devices != nullptr;
  parallel.group = on_devices ? links_.devices : links_.distillers;
  parallel.wire = on_devices ? links_.device : at::kCPU;
}

json Crew::order(const json& order) { return json::parse(say(links_.all, order.dump(), 0, stop_)); }

std::size_t Crew::askers() const {
  const std::int64_t some = job_.ranks.coordinators;
  return static_cast<std::size_t>(some > 0 ? some : size());
}

// By rank: the clients that it trains.
std::vector<std::vector<std::size_t>> Crew::placed(const Run& run, const Material& material) const {
  std::vector<double> costs;
  for (std::size_t i = 0; i < material.shards.size(); ++i) {
    costs.push_back(plan_client(run, material, i).cost);
  }
  const auto first = static_cast<int>(job_.ranks.coordinators);
  const std::vector<int> ranks = place(costs, size() - first);
  std::vector<std::vector<std::size_t>> clients(static_cast<std::size_t>(size()));
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    clients[static_cast<std::size_t>(first + ranks[i])].push_back(i);
  }
  return clients;
}

void Crew::train(const Run& run, const Material& material) {
  const std::size_t count = material.shards.size();
  const auto clients = placed(run, material);
  std::set<std::string> awaited;
  json open = json::array();
  for (std::size_t rank = 1; rank < clients.size(); ++rank) {
    for (const std::size_t i : clients[rank]) {
      if (run.folder.recall(client_name(i, count))) continue;
      awaited.insert(client_name(i, count));
      open.push_back(i);
    }
  }
  order({{"what", "train"}, {"round", run.round}, {"open", std::move(open)}});
  if (run.lesson) say(links_.all, lesson_text(run, material), 0, stop_);
  Depot depot(run, links_.channels.to_ranks, std::move(awaited));
  auto taking = std::async(std::launch::async, [&] {
    try {
      depot.serve();
    } catch (...) {
      run.stop.store(true);
      throw;
    }
  });
  try {
    if (!clients[0].empty()) train_some(run, material, clients[0]);
  } catch (const Stopped&) {
    taking.get();  // may be what stopped it, and says why
    throw;
  } catch (...) {
    run.stop.store(true);  // nobody waits for the others
    throw;
  }
  taking.get();
}

// Another rank keeps what rank 0's round begins with where it looks for it.
void Crew::take_lesson(const Run& run, std::int64_t round) {
  if (round > 1) keep_lesson(run, round - 1, say(links_.all, "", 0, stop_));
}

void Crew::train_mine(const Run& run, const Material& material, const json& todo) {
  const auto open = todo.at("open").get<std::set<std::size_t>>();
  const auto clients = placed(run, material);
  std::vector<std::size_t> mine;
  std::ranges::copy_if(clients[static_cast<std::size_t>(links_.all.rank())],
                       std::back_inserter(mine), [&](std::size_t i) { return open.contains(i); });
  if (mine.empty()) return;
  std::mutex one_at_a_time;
  train_some(run, material, mine, [&](const ClientRecord& record) {
    const std::lock_guard lock(one_at_a_time);
    upload(*links_.channels.to_first, run, record);
  });
}

PredictionCache Crew::ask(const Material& material, bool test_images,
                          const std::string& images_hash, const std::vector<Teacher>& teachers,
                          const TeacherPassOptions& options, const std::filesystem::path& path) {
  const ImageView& images = images_of(material, test_images);
  PredictionCache cache =
      open_prediction_cache(teachers, images, images_hash, material.classes(), path);
  json list = json::array();
  for (const std::size_t k : by_cost(teachers, cache)) {
    list.push_back(
        {{"client", k}, {"sha256", teachers[k].hash}, {"samples", teachers[k].sample_count}});
  }
  const json todo = order({{"what", "ask"}, {"test", test_images}, {"teachers", std::move(list)}});
  ask_in_waves(material, todo, options, teachers, &cache);
  return cache;
}

// Every other asker gets its teacher of the wave that begins there.
void Crew::hand_out(const std::vector<Teacher>& teachers, const json& todo, std::size_t wave) {
  for (std::size_t rank = 1; rank < askers() && wave + rank < todo.size(); ++rank) {
    const Teacher& teacher = teachers[todo[wave + rank].at("client").get<std::size_t>()];
    send_blob(*links_.channels.to_ranks[rank], teacher.model, teacher.hash, "teacher", stop_);
  }
}

// It stays until the end, for the pass over the other images.
Teacher Crew::take_teacher(const json& teacher) {
  BlobStore store(links_.files / "teachers");
  const BlobInfo blob = receive_blob(*links_.channels.to_first, store, "rank-0", "teacher", stop_);
  return {store.path(blob.sha256), teacher.at("sha256"), teacher.at("samples")};
}

void Crew::ask_in_waves(const Material& material, const json& todo,
                        const TeacherPassOptions& options, const std::vector<Teacher>& known,
                        PredictionCache* cache) {
  const json& teachers = todo.at("teachers");
  const ImageView& images = images_of(material, todo.at("test"));
  const std::size_t ranks = askers();
  const auto me = static_cast<std::size_t>(links_.all.rank());
  set_thread_count(1);
  for (std::size_t wave = 0; wave < teachers.size(); wave += ranks) {
    if (me == 0) hand_out(known, teachers, wave);
    TeacherAnswer mine;
    if (const std::size_t i = wave + me; me < ranks && i < teachers.size()) {
      const std::int64_t client = teachers[i].at("client");
      const Teacher teacher =
          me == 0 ? known[static_cast<std::size_t>(client)] : take_teacher(teachers[i]);
      mine =
          ask_teacher(teacher, client, images, material.classes(), material.normalisation, options);
    }
    for (std::size_t r = 0; r < ranks && wave + r < teachers.size(); ++r) {
      at::Tensor logits =
          r == me ? mine.logits : at::empty({images.count(), material.classes()}, at::kFloat);
      at::Tensor confidences = r == me ? mine.confidences : at::empty({images.count()}, at::kFloat);
      const auto from = static_cast<int>(r);
      finish(links_.all.broadcast(elements_of(logits), from), stop_);
      finish(links_.all.broadcast(elements_of(confidences), from), stop_);
      const std::string warning = say(links_.all, mine.warning, from, stop_);
      const std::int64_t client = teachers[wave + r].at("client");
      if (cache != nullptr) cache->write(client, logits, confidences);
      if (!warning.empty() && options.on_warning) options.on_warning(client, warning);
      if (options.on_progress) options.on_progress(client, images.count());
    }
  }
}

void Crew::begin_distilling(const Run& run, const at::Tensor& targets) {
  order({{"what", "distill"},
         {"round", run.round},
         {"rows", targets.size(0)},
         {"classes", targets.size(1)}});
  if (links_.distillers != nullptr) {
    links_.distillers->broadcast(elements_of(targets.contiguous()), 0).wait();
  }
}

void Crew::distill_mine(const Run& run, const Material& material, const json& todo) {
  if (links_.distillers == nullptr) return;
  const std::int64_t rows = todo.at("rows"), classes = todo.at("classes");
  const at::Tensor targets = at::empty({rows, classes}, at::kFloat);
  links_.distillers->broadcast(elements_of(targets), 0).wait();
  help_distill(run, material, targets);
}

void Crew::dismiss() { order({{"what", "leave"}}); }

void Crew::serve(const Run& run, const Material& material) {
  TeacherPassOptions options;
  options.stop = &run.stop;
  options.device = run.device;
  for (;;) {
    const json todo = order({});
    const std::string what = todo.at("what");
    if (what == "leave") break;
    if (what == "ask") {
      ask_in_waves(material, todo, options, {}, nullptr);
      continue;
    }
    if (what == "train") take_lesson(run, todo.at("round"));
    const RoundRun round(run, material, todo.at("round"));
    if (what == "train") train_mine(round.run(), material, todo);
    if (what == "distill") distill_mine(round.run(), material, todo);
  }
  // Rank 0 has it all.
  for (const char* part : {"clients", "rounds", "state", "teachers"}) {
    std::filesystem::remove_all(links_.files / part);
  }
}

}  // namespace fedstill
