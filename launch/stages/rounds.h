#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/stages/clients.h"
#include "launch/stages/edge_file.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "launch/stages/student.h"
#include "launch/stages/teaching.h"

namespace fedstill {

// Where a round's clients, caches, student and bundle lie: rounds/N of the run folder, the last
// round's in the run folder itself, so that a job of one round has no more folders.
std::filesystem::path round_folder(const Job& job, std::int64_t round);

// One round as its stages see it: its folder, its number and the lesson of the round before.
class RoundRun {
 public:
  // job: as given to the whole run, which must outlive it. Throws DecodeError where the lesson is
  // damaged, std::system_error.
  RoundRun(const Run& job, const Material& material, std::int64_t round);
  RoundRun(const RoundRun&) = delete;
  RoundRun& operator=(const RoundRun&) = delete;
  const Run& run() const { return run_; }

 private:
  RunFolder folder_;
  Run run_;
};

// Says which of several rounds begins.
void announce_round(const Run& job, std::int64_t round);

// What came out of a round, before it is published.
struct RoundOutcome {
  std::vector<ClientRecord> clients;
  Teaching teaching;
  Student student;
  EdgeFile bundle;
};
RoundOutcome finish_round(const Run& run, const Material& material,
                          std::vector<ClientRecord> clients, const std::vector<Teacher>& teachers);

// The bytes of what the round leaves for the next, kept in its folder as lesson.safetensors; none
// after the last round.
std::vector<std::byte> leave_lesson(const Run& run, const Material& material,
                                    const RoundOutcome& outcome);

// For the ranks of a job that share no disk: the lesson that a round began with, and such a text
// kept where the next round of this rank's own run looks for it.
std::string lesson_text(const Run& run, const Material& material);
void keep_lesson(const Run& job, std::int64_t round, const std::string& text);

// What the report says of a round, remembered when it is over; and, given the whole job's run, that
// of all rounds that are over, and the seconds of every stage summed over the rounds.
void remember_round(const Run& run, const nlohmann::json& summary);
nlohmann::json recall_rounds(const Run& job);
std::map<std::string, double> seconds_of_rounds(const Run& job);

}  // namespace fedstill
