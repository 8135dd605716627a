#include "launch/ranks/ranked_pass.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "collective/placement.h"
#include "launch/ranks/blob_exchange.h"
#include "launch/ranks/say.h"
#include "launch/ranks/teacher_cost.h"
#include "launch/stages/worker_pool.h"
#include "training/data_parallel.h"
#include "training/device.h"

namespace fedstill {
namespace {

using nlohmann::json;

// Planned together, and so in memory together. More would be cut no better: with one already the
// parts are equal up to a block.
constexpr std::size_t kTeachersPerHand = 2;

std::vector<std::int64_t> open_clients(const PredictionCache& cache) {
  std::vector<std::int64_t> open;
  for (std::int64_t k = 0; k < cache.clients(); ++k) {
    if (!cache.done(k)) open.push_back(k);
  }
  return open;
}

// None where another rank makes it.
std::int64_t rows_of(const TeacherAnswer& answer) {
  return answer.logits.defined() ? answer.logits.size(0) : 0;
}

void copy_rows(const TeacherAnswer& from, const TeacherAnswer& to, std::int64_t begin) {
  const std::int64_t rows = from.logits.size(0);
  to.logits.narrow(0, begin, rows).copy_(from.logits);
  to.confidences.narrow(0, begin, rows).copy_(from.confidences);
}

}  // namespace

std::vector<std::int64_t> RankedPass::run(const std::vector<Teacher>& teachers,
                                          PredictionCache* cache) {
  const std::vector<int> workers = hands();
  std::int64_t made = 0;
  const std::string said = cache != nullptr ? plan(teachers, *cache, workers) : "";
  for (const json& window : json::parse(say(ranks_.all, said, 0, ranks_.stop))) {
    std::vector<Part> parts;
    for (const json& part : window) parts.push_back(part_of(part));
    bring_teachers(parts, teachers);
    std::vector<TeacherAnswer> mine = ask_mine(parts);
    for (const TeacherAnswer& answer : mine) made += rows_of(answer);
    collect(parts, std::move(mine), cache);
  }
  return of_every_rank(made);
}

std::vector<std::int64_t> RankedPass::of_every_rank(std::int64_t mine) const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(ranks_.all.size()));
  finish(ranks_.all.all_gather({&mine, 1, ElementType::kInt64}, elements(all)), ranks_.stop);
  return all;
}

// The rank of every worker that asks.
std::vector<int> RankedPass::hands() const {
  const std::vector<std::int64_t> workers = of_every_rank(question_.options.workers);
  std::vector<int> hands;
  for (std::size_t rank = 0; rank < ranks_.askers; ++rank) {
    hands.insert(hands.end(), static_cast<std::size_t>(workers[rank]), static_cast<int>(rank));
  }
  return hands;
}

std::string RankedPass::plan(const std::vector<Teacher>& teachers, const PredictionCache& cache,
                             const std::vector<int>& hands) const {
  const std::vector<std::int64_t> open = open_clients(cache);
  const std::int64_t images = question_.images.count(), block = question_.options.block;
  const std::size_t most = kTeachersPerHand * hands.size();
  TeacherCosts known(question_.images, question_.normalisation, question_.options.device);
  json windows = json::array();
  for (std::size_t first = 0; first < open.size(); first += most) {
    const auto some = std::span(open).subspan(first, std::min(most, open.size() - first));
    std::vector<double> costs;
    for (const std::int64_t k : some) {
      costs.push_back(known.seconds_per_image(teachers[static_cast<std::size_t>(k)]));
    }
    json parts = json::array();
    for (const Piece& piece : cut(costs, (images + block - 1) / block, hands.size())) {
      const std::int64_t client = some[piece.item];
      const Teacher& teacher = teachers[static_cast<std::size_t>(client)];
      parts.push_back({{"client", client},
                       {"rank", hands[piece.hand]},
                       {"begin", piece.begin * block},
                       {"end", std::min(images, piece.end * block)},
                       {"sha256", teacher.hash},
                       {"samples", teacher.sample_count}});
    }
    windows.push_back(std::move(parts));
  }
  return windows.dump();
}

RankedPass::Part RankedPass::part_of(const json& json) {
  return {json.at("client"), json.at("rank"),   json.at("begin"),
          json.at("end"),    json.at("sha256"), json.at("samples")};
}

// Before anybody asks, so that nobody who asks keeps another one waiting.
void RankedPass::bring_teachers(const std::vector<Part>& parts, const std::vector<Teacher>& known) {
  const int me = ranks_.all.rank();
  for (const Part& part : parts) {
    if (me != 0) {
      if (part.rank == me) teachers_[part.client] = take_teacher(part);
      continue;
    }
    const Teacher& teacher = known[static_cast<std::size_t>(part.client)];
    teachers_[part.client] = teacher;
    if (part.rank == 0) continue;
    send_blob(*ranks_.channels.to_ranks[static_cast<std::size_t>(part.rank)], teacher.model,
              teacher.hash, "teacher", ranks_.stop);
  }
}

// It stays until the end, for the pass over the other images.
Teacher RankedPass::take_teacher(const Part& part) const {
  BlobStore store(ranks_.files / "teachers");
  const BlobInfo blob =
      receive_blob(*ranks_.channels.to_first, store, "rank-0", "teacher", ranks_.stop);
  return {store.path(blob.sha256), part.sha256, part.samples};
}

// Answers by part; those of other ranks are empty.
std::vector<TeacherAnswer> RankedPass::ask_mine(const std::vector<Part>& parts) const {
  std::vector<TeacherAnswer> answers(parts.size());
  std::vector<WorkItem> items;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].rank != ranks_.all.rank()) continue;
    items.push_back({.work = [this, &answers, &parts, i] { answers[i] = ask(parts[i]); }});
  }
  constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();
  if (!items.empty()) {
    run_items(std::move(items), question_.options.workers, kNoLimit, ranks_.stop);
  }
  return answers;
}

TeacherAnswer RankedPass::ask(const Part& part) const {
  const DeviceStream stream(question_.options.device);
  const auto& rows = question_.images.indices;
  const ImageView images{question_.images.images,
                         {rows.begin() + part.begin, rows.begin() + part.end}};
  TeacherPassOptions options = question_.options;
  options.on_progress = {};
  return ask_teacher(teachers_.at(part.client), part.client, images, question_.classes,
                     question_.normalisation, options);
}

// The parts of a teacher stand beside each other, so that rank 0 puts one together at a time.
void RankedPass::collect(const std::vector<Part>& parts, std::vector<TeacherAnswer> answers,
                         PredictionCache* cache) const {
  TeacherAnswer whole;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    TeacherAnswer answer = std::move(answers[i]);
    if (part.rank != ranks_.all.rank()) answer = empty_answer(part.end - part.begin);
    finish(ranks_.all.broadcast(elements_of(answer.logits), part.rank), ranks_.stop);
    finish(ranks_.all.broadcast(elements_of(answer.confidences), part.rank), ranks_.stop);
    if (cache == nullptr) continue;
    if (part.begin == 0) whole = empty_answer(question_.images.count());
    copy_rows(answer, whole, part.begin);
    if (part.end == question_.images.count()) note(part.client, whole, *cache);
  }
}

void RankedPass::note(std::int64_t client, TeacherAnswer& answer, PredictionCache& cache) const {
  const TeacherPassOptions& options = question_.options;
  const std::string replaced = clean(answer);
  cache.write(client, answer.logits, answer.confidences);
  if (!replaced.empty() && options.on_warning) options.on_warning(client, replaced);
  if (options.on_progress) options.on_progress(client, question_.images.count());
}

TeacherAnswer RankedPass::empty_answer(std::int64_t images) const {
  return {at::empty({images, question_.classes}, at::kFloat), at::empty({images}, at::kFloat)};
}

}  // namespace fedstill
