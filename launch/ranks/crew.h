#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "aggregation/teacher_pass.h"
#include "collective/collective.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// The ranks of one job, as the stages on rank 0 see them. Rank 0 decides what is done next and says
// so; the others serve() and do their part. The run folder is where all ranks can read and write it
// (docs/cluster.md), so that what one rank finished is there when the job is started again.
class Crew {
 public:
  // `all` has every rank, `distillers` the first of them: those that train the student together,
  // or null on a rank that is none. Both must outlive it.
  Crew(Collective& all, Collective* distillers, const std::atomic<bool>& stop)
      : all_(all), distillers_(distillers), stop_(stop) {}

  int size() const { return all_.size(); }
  Collective* distillers() const { return distillers_; }

  // On rank 0; each returns when all ranks have done their part, and throws Stopped when asked to.
  //
  // Every client that is not done yet is trained by the rank it is placed on.
  void train(const Run& run, const Material& material);
  // As teacher_pass() does, each rank holding one teacher at a time; the same bits.
  PredictionCache ask(const Material& material, bool test_images, const std::string& images_hash,
                      const std::vector<Teacher>& teachers, const TeacherPassOptions& options,
                      const std::filesystem::path& cache);
  // The other distillers get these targets and begin; rank 0 then fits with distillers().
  void begin_distilling(const at::Tensor& targets);
  void dismiss();  // the others' serve() returns

  // On the other ranks, until they are dismissed. Throws what the work throws; the job then ends.
  void serve(const Run& run, const Material& material);

 private:
  void finish(Pending pending) const;
  std::string say(std::string text, int from);        // everybody hears what that rank says
  nlohmann::json order(const nlohmann::json& order);  // rank 0's
  void train_mine(const Run& run, const Material& material);
  void ask_in_waves(const Material& material, const nlohmann::json& order,
                    const TeacherPassOptions& options, PredictionCache* cache);
  void distill_mine(const Run& run, const Material& material, const nlohmann::json& order);

  Collective& all_;
  Collective* distillers_;
  const std::atomic<bool>& stop_;
};

}  // namespace fedstill
