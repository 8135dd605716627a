#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "aggregation/teacher_pass.h"
#include "collective/collective.h"
#include "transport/mpi/mpi_channel.h"

namespace fedstill {

// The teacher pass by the ranks of a job. Teachers and images are cut into parts of equal cost, one
// for each worker of the ranks that ask, between the blocks of images in which a teacher is asked
// anyway: the cache is that of one rank, bit for bit. A worker holds one teacher at a time.
class RankedPass {
 public:
  struct Ranks {
    Collective& all;         // also those that ask nothing
    std::size_t askers = 1;  // the first so many
    const mpi::Channels& channels;
    std::filesystem::path files;  // of this rank, for the teachers it is sent
    std::atomic<bool>& stop;
  };
  struct Question {
    const ImageView& images;
    std::int64_t classes = 0;
    const Normalisation& normalisation;
    const TeacherPassOptions& options;  // workers and device are this rank's
  };
  // What they refer to must outlive it.
  RankedPass(Ranks ranks, Question question) : ranks_(std::move(ranks)), question_(question) {}

  // By every rank: rank 0 says who asks what and writes it into the cache; the others give neither
  // teachers nor cache. Returns how many answers each rank made, one teacher's about one image
  // each. Throws what teacher_pass() throws, CollectiveError, ChannelClosed.
  std::vector<std::int64_t> run(const std::vector<Teacher>& teachers, PredictionCache* cache);

 private:
  struct Part {
    std::int64_t client = 0;
    int rank = 0;
    std::int64_t begin = 0, end = 0;  // images
    std::string sha256;               // of the teacher
    std::int64_t samples = 0;
  };
  static Part part_of(const nlohmann::json& json);

  std::vector<std::int64_t> of_every_rank(std::int64_t mine) const;
  std::vector<int> hands() const;
  std::string plan(const std::vector<Teacher>& teachers, const PredictionCache& cache,
                   const std::vector<int>& hands) const;
  void bring_teachers(const std::vector<Part>& parts, const std::vector<Teacher>& known);
  Teacher take_teacher(const Part& part) const;
  std::vector<TeacherAnswer> ask_mine(const std::vector<Part>& parts) const;
  TeacherAnswer ask(const Part& part) const;
  void collect(const std::vector<Part>& parts, std::vector<TeacherAnswer> answers,
               PredictionCache* cache) const;
  void note(std::int64_t client, TeacherAnswer& answer, PredictionCache& cache) const;
  TeacherAnswer empty_answer(std::int64_t images) const;

  Ranks ranks_;
  Question question_;
  std::map<std::int64_t, Teacher> teachers_;  // that are on this rank
};

}  // namespace fedstill
