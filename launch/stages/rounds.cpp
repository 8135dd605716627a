#include "launch/stages/rounds.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>

#include "data/lesson.h"
#include "model/atomic_file.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

constexpr const char* kLesson = "lesson.safetensors";

LessonShape shape_of(const Material& material) {
  return {material.data.train.images->shape, material.pool.images.count(), material.classes()};
}

std::shared_ptr<const Lesson> lesson_before(const Run& job, const Material& material,
                                            std::int64_t round) {
  if (round == 1) return nullptr;
  const RunFolder before = job.folder.part(round_folder(job.job, round - 1));
  before.recall("lesson", [&](const nlohmann::json& saved) {
    check_recorded(before.file(kLesson), saved.at("sha256"));
  });
  return std::make_shared<const Lesson>(read_lesson(before.file(kLesson), shape_of(material)));
}

Tensor to_rows(const at::Tensor& labels) {
  const at::Tensor dense = labels.contiguous();
  return Tensor::of_floats(dense.sizes().vec(), {dense.const_data_ptr<float>(),
                                                 static_cast<std::size_t>(dense.numel())});
}

void keep(const RunFolder& folder, std::span<const std::byte> bytes) {
  write_file_atomically(folder.file(kLesson), bytes);
  folder.remember("lesson", {{"sha256", sha256_hex(bytes)}});
}

}  // namespace

std::filesystem::path round_folder(const Job& job, std::int64_t round) {
  if (round == job.round.count) return {};
  return std::filesystem::path("rounds") / std::to_string(round);
}

RoundRun::RoundRun(const Run& job, const Material& material, std::int64_t round)
    : folder_(job.folder.part(round_folder(job.job, round))),
      run_{job.job,   folder_,  job.events, job.progress,
           job.stop,  job.crew, round,      lesson_before(job, material, round),
           job.device} {}

void announce_round(const Run& job, std::int64_t round) {
  job.events.event("round_started", {{"round", round}});
  if (job.job.round.count == 1) return;
  job.progress.message("round " + std::to_string(round) + " of " +
                       std::to_string(job.job.round.count));
}

RoundOutcome finish_round(const Run& run, const Material& material,
                          std::vector<ClientRecord> clients, const std::vector<Teacher>& teachers) {
  RoundOutcome out;
  out.clients = std::move(clients);
  timed_stage(run, "teachers", [&] { out.teaching = teach(run, material, teachers); });
  timed_stage(run, "student", [&] { out.student = make_student(run, material, out.teaching); });
  timed_stage(run, "bundle", [&] { out.bundle = make_edge_file(run, material, out.student); });
  return out;
}

std::vector<std::byte> leave_lesson(const Run& run, const Material& material,
                                    const RoundOutcome& outcome) {
  if (run.round == run.job.round.count) return {};
  const Lesson lesson{outcome.student.graph, to_rows(outcome.teaching.pool.labels)};
  std::vector<std::byte> bytes = encode_lesson(lesson, shape_of(material));
  keep(run.folder, bytes);
  return bytes;
}

std::string lesson_text(const Run& run, const Material& material) {
  const std::vector<std::byte> bytes = encode_lesson(*run.lesson, shape_of(material));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void keep_lesson(const Run& job, std::int64_t round, const std::string& text) {
  keep(job.folder.part(round_folder(job.job, round)), std::as_bytes(std::span(text)));
}

void remember_round(const Run& run, const nlohmann::json& summary) {
  run.folder.remember("round", summary);
}

nlohmann::json recall_rounds(const Run& job) {
  nlohmann::json rounds = nlohmann::json::array();
  for (std::int64_t round = 1; round <= job.job.round.count; ++round) {
    const auto saved = job.folder.part(round_folder(job.job, round)).recall("round");
    if (saved) rounds.push_back(*saved);
  }
  return rounds;
}

std::map<std::string, double> seconds_of_rounds(const Run& job) {
  std::map<std::string, double> sum;
  for (std::int64_t round = 1; round <= job.job.round.count; ++round) {
    std::map<std::string, double> seconds;
    job.folder.part(round_folder(job.job, round))
        .recall("seconds", [&](const nlohmann::json& saved) { saved.get_to(seconds); });
    for (const auto& [stage, spent] : seconds) sum[stage] += spent;
  }
  return sum;
}

}  // namespace fedstill
