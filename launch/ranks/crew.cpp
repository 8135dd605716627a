#include "launch/ranks/crew.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "collective/placement.h"
#include "launch/ranks/depot.h"
#include "launch/ranks/say.h"
#include "launch/stages/client_plan.h"
#include "launch/stages/clients.h"
#include "launch/stages/rounds.h"
#include "launch/stages/student.h"
#include "training/data_parallel.h"
#include "training/fit.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

const ImageView& images_of(const Material& material, bool test_images) {
  return test_images ? material.test : material.pool.images;
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
    const int rank = first + ranks[i];
    clients[static_cast<std::size_t>(rank)].push_back(i);
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

PredictionCache Crew::ask(const Run& run, const Material& material, bool test_images,
                          const std::string& images_hash, const std::vector<Teacher>& teachers,
                          const TeacherPassOptions& options, const std::filesystem::path& path) {
  PredictionCache cache = open_prediction_cache(teachers, images_of(material, test_images),
                                                images_hash, material.classes(), path);
  order({{"what", "ask"}, {"test", test_images}});
  const auto by_rank = pass(material, test_images, options).run(teachers, &cache);
  run.events.event("teachers_asked",
                   {{"images", test_images ? "test" : "pool"}, {"answers_by_rank", by_rank}});
  return cache;
}

RankedPass Crew::pass(const Material& material, bool test_images,
                      const TeacherPassOptions& options) const {
  return {{links_.all, askers(), links_.channels, links_.files, stop_},
          {images_of(material, test_images), material.classes(), material.normalisation, options}};
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
  options.workers = workers_of(run);
  for (;;) {
    const json todo = order({});
    const std::string what = todo.at("what");
    if (what == "leave") break;
    if (what == "ask") {
      pass(material, todo.at("test"), options).run({}, nullptr);
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
