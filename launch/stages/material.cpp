#include "launch/stages/material.h"

#include <nlohmann/json.hpp>

#include "data/data_error.h"
#include "data/whole_view.h"
#include "launch/job_check.h"
#include "launch/stages/run.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

SplitOptions split_options(const Job& job) {
  SplitOptions options;
  options.scheme = job.clients.split;
  options.clients = static_cast<int>(job.clients.count);
  options.private_count = job.data.private_count;
  options.pool_count = job.data.pool;
  options.validation_count = job.data.validation;
  options.alpha = job.clients.alpha;
  options.shards_per_client = static_cast<int>(job.clients.shards);
  options.classes_per_client = static_cast<int>(job.clients.classes);
  options.minimum = job.clients.minimum;
  options.seed = seed_of(job, Stream::kSplit);
  return options;
}

// A liar's labels are all wrong in the same way: every class is called the next one.
void turn_labels(Shard& shard, std::int64_t classes) {
  for (auto& label : shard.labels) label = static_cast<std::int32_t>((label + 1) % classes);
}

}  // namespace

Material load_material(const Job& job, const std::filesystem::path& saved_split) {
  Material m;
  m.data = read_source(job.data.source);
  check_job_against(job, m.data.train);
  if (!saved_split.empty() && std::filesystem::exists(saved_split)) {
    m.split = read_split(saved_split);
  } else {
    m.split = make_split(m.data.train.labels, m.classes(), split_options(job));
  }
  check_disjoint(m.split, m.data.train.images->count());
  const std::size_t honest = m.split.clients.size() - static_cast<std::size_t>(job.clients.liars);
  for (const auto& indices : m.split.clients) {
    m.shards.push_back(make_shard(m.data.train, indices));
    if (m.shards.size() > honest) turn_labels(m.shards.back(), m.classes());
  }
  Shard pool = make_shard(m.data.train, m.split.pool);
  m.pool = UnlabeledPool{std::move(pool.images)};
  m.pool_labels = HiddenLabels{std::move(pool.labels)};
  m.test = whole(m.data.test.images);
  m.test_labels = HiddenLabels{m.data.test.labels};
  m.normalisation = measure_normalisation(m.pool.images);
  return m;
}

void check_same_data(const std::filesystem::path& run, const Material& material) {
  const auto saved = recall_state(run, "data");
  if (!saved || !saved->is_object() || !saved->contains("sha256")) {
    throw DataError("[run] " + run.string() +
                    " does not say which images and labels it began with (an older fedstill made "
                    "it); begin a new run");
  }
  const auto& began_with = saved->at("sha256");
  const std::string found = material.data.hash();
  if (began_with == found) return;
  throw DataError("[run] " + run.string() + " began with other images or labels: sha256 " +
                  shown(began_with.dump()) + ", found " + found);
}

void remember_data(const RunFolder& folder, const Material& material) {
  folder.remember("data", {{"sha256", material.data.hash()}});
}

Material material_of_run(const Job& job, const RunFolder& folder) {
  Material material = load_material(job, folder.file("split.json"));
  // A kill between the folder and these two leaves none; nothing was made from them yet.
  write_split(folder.file("split.json"), material.split);
  if (folder.recall("data")) {
    check_same_data(folder.path(), material);
  } else {
    remember_data(folder, material);
  }
  return material;
}

}  // namespace fedstill
