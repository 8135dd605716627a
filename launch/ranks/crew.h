#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "aggregation/teacher_pass.h"
#include "collective/collective.h"
#include "launch/ranks/ranked_pass.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "training/data_parallel.h"
#include "transport/mpi/mpi_channel.h"

namespace fedstill {

// The ranks of one job, as the stages on rank 0 see them. Rank 0 decides what is done next and says
// so; the others serve() and do their part. What rank 0 needs of them comes to it, and what they
// need of it goes to them, so that each may keep its files on a disk of its own.
class Crew {
 public:
  struct Links {
    Collective& all;         // every rank
    Collective* distillers;  // the first of them, who train the student together; null on others
    const mpi::Channels& channels;
    std::filesystem::path files;  // of this rank, for what only it keeps
    // The distillers' devices as one; null: their gradients go by way of the host.
    Collective* devices = nullptr;
    at::Device device = at::kCPU;  // of this rank
  };
  // What the links point to must outlive it.
  Crew(Links links, const Job& job, std::atomic<bool>& stop)
      : links_(std::move(links)), job_(job), stop_(stop) {}

  int size() const { return links_.all.size(); }
  void share_gradients(DataParallel& parallel) const;  // over the distillers

  // On rank 0; each returns when all ranks have done their part, and throws Stopped when asked to.
  //
  // Every client that is not done yet is trained by the rank it is placed on; it is then in rank
  // 0's run folder.
  void train(const Run& run, const Material& material);
  // As teacher_pass() does, by RankedPass; the same bits.
  PredictionCache ask(const Run& run, const Material& material, bool test_images,
                      const std::string& images_hash, const std::vector<Teacher>& teachers,
                      const TeacherPassOptions& options, const std::filesystem::path& cache);
  // The other distillers get these targets and begin; rank 0 then fits with them.
  void begin_distilling(const Run& run, const at::Tensor& targets);
  void dismiss();  // the others' serve() returns

  // On the other ranks, until they are dismissed. Throws what the work throws; the job then ends.
  void serve(const Run& run, const Material& material);

 private:
  nlohmann::json order(const nlohmann::json& order);  // rank 0's
  std::vector<std::vector<std::size_t>> placed(const Run& run, const Material& material) const;
  void take_lesson(const Run& run, std::int64_t round);
  void train_mine(const Run& run, const Material& material, const nlohmann::json& order);
  RankedPass pass(const Material& material, bool test_images,
                  const TeacherPassOptions& options) const;
  std::size_t askers() const;  // the first so many ranks
  void distill_mine(const Run& run, const Material& material, const nlohmann::json& order);

  Links links_;
  const Job& job_;
  std::atomic<bool>& stop_;
};

}  // namespace fedstill
