#include "launch/ranks/crew.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "launch/ranks/placement.h"
#include "launch/stages/client_plan.h"
#include "launch/stages/clients.h"
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

// Whoever waits for others' work, which may take hours, still hears that it is asked to stop.
void Crew::finish(Pending pending) const {
  for (int looks = 0; !pending.is_done(); ++looks) {
    if (stop_.load()) throw Stopped("[mpi] stopped while waiting for other ranks");
    if (looks < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
}

std::string Crew::say(std::string text, int from) {
  auto size = static_cast<std::int64_t>(text.size());
  finish(all_.broadcast({&size, 1, ElementType::kInt64}, from));
  text.resize(static_cast<std::size_t>(size));
  if (size > 0) finish(all_.broadcast({text.data(), text.size(), ElementType::kUint8}, from));
  return text;
}

json Crew::order(const json& order) { return json::parse(say(order.dump(), 0)); }

void Crew::train(const Run& run, const Material& material) {
  order({{"what", "train"}});
  train_mine(run, material);
}

void Crew::train_mine(const Run& run, const Material& material) {
  std::vector<double> costs;
  for (std::size_t i = 0; i < material.shards.size(); ++i) {
    costs.push_back(plan_client(run.job, material, i).cost);
  }
  const std::vector<int> ranks = place(costs, all_.size());
  std::vector<std::size_t> mine;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] == all_.rank()) mine.push_back(i);
  }
  train_some(run, material, mine);
  finish(all_.barrier());
}

PredictionCache Crew::ask(const Material& material, bool test_images,
                          const std::string& images_hash, const std::vector<Teacher>& teachers,
                          const TeacherPassOptions& options, const std::filesystem::path& path) {
  const ImageView& images = images_of(material, test_images);
  PredictionCache cache =
      open_prediction_cache(teachers, images, images_hash, material.classes(), path);
  json list = json::array();
  for (const std::size_t k : by_cost(teachers, cache)) {
    list.push_back({{"client", k},
                    {"model", teachers[k].model.string()},
                    {"sha256", teachers[k].hash},
                    {"samples", teachers[k].sample_count}});
  }
  const json todo = order({{"what", "ask"}, {"test", test_images}, {"teachers", std::move(list)}});
  ask_in_waves(material, todo, options, &cache);
  return cache;
}

void Crew::ask_in_waves(const Material& material, const json& todo,
                        const TeacherPassOptions& options, PredictionCache* cache) {
  const json& teachers = todo.at("teachers");
  const ImageView& images = images_of(material, todo.at("test"));
  const auto ranks = static_cast<std::size_t>(all_.size());
  set_thread_count(1);
  for (std::size_t wave = 0; wave < teachers.size(); wave += ranks) {
    TeacherAnswer mine;
    if (const std::size_t i = wave + static_cast<std::size_t>(all_.rank()); i < teachers.size()) {
      const json& t = teachers[i];
      mine =
          ask_teacher({t.at("model").get<std::string>(), t.at("sha256"), t.at("samples")},
                      t.at("client"), images, material.classes(), material.normalisation, options);
    }
    for (std::size_t r = 0; r < ranks && wave + r < teachers.size(); ++r) {
      const bool own = static_cast<int>(r) == all_.rank();
      at::Tensor logits =
          own ? mine.logits : at::empty({images.count(), material.classes()}, at::kFloat);
      at::Tensor confidences = own ? mine.confidences : at::empty({images.count()}, at::kFloat);
      finish(all_.broadcast(elements_of(logits), static_cast<int>(r)));
      finish(all_.broadcast(elements_of(confidences), static_cast<int>(r)));
      const std::string warning = say(mine.warning, static_cast<int>(r));
      const std::int64_t client = teachers[wave + r].at("client");
      if (cache != nullptr) cache->write(client, logits, confidences);
      if (!warning.empty() && options.on_warning) options.on_warning(client, warning);
      if (options.on_progress) options.on_progress(client, images.count());
    }
  }
}

void Crew::begin_distilling(const at::Tensor& targets) {
  order({{"what", "distill"}, {"rows", targets.size(0)}, {"classes", targets.size(1)}});
  if (distillers_ != nullptr) {
    distillers_->broadcast(elements_of(targets.contiguous()), 0).wait();
  }
}

void Crew::distill_mine(const Run& run, const Material& material, const json& todo) {
  if (distillers_ == nullptr) return;
  const std::int64_t rows = todo.at("rows"), classes = todo.at("classes");
  const at::Tensor targets = at::empty({rows, classes}, at::kFloat);
  distillers_->broadcast(elements_of(targets), 0).wait();
  help_distill(run, material, targets);
}

void Crew::dismiss() { order({{"what", "leave"}}); }

void Crew::serve(const Run& run, const Material& material) {
  TeacherPassOptions options;
  options.stop = &run.stop;
  for (;;) {
    const json todo = order({});
    const std::string what = todo.at("what");
    if (what == "train") train_mine(run, material);
    if (what == "ask") ask_in_waves(material, todo, options, nullptr);
    if (what == "distill") distill_mine(run, material, todo);
    if (what == "leave") return;
  }
}

}  // namespace fedstill
