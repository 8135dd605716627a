#pragma once

#include <c10/core/Device.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "launch/event_log.h"
#include "launch/job.h"
#include "launch/progress.h"
#include "launch/run_folder.h"

namespace fedstill {

class Crew;
struct Lesson;

// What every stage of a run is given.
struct Run {
  const Job& job;
  const RunFolder& folder;  // of the round (launch/stages/rounds.h)
  EventLog& events;
  Progress& progress;
  std::atomic<bool>& stop;  // set from outside, or by a stage whose worker failed
  Crew* crew = nullptr;     // the ranks of this job, or this process alone
  std::int64_t round = 1;
  std::shared_ptr<const Lesson> lesson = {};  // of the round before, or nothing
  at::Device device = at::kCPU;               // where this process trains and predicts
  std::int64_t device_ranks = 1;              // of this job that do so there
};

// Threads that train or predict at once on the device.
int workers_of(const Run& run);

// Keys for derive_key(seed, stream, …): what is drawn for one purpose never moves another.
enum class Stream : std::uint64_t {
  kSplit = 1,
  kClient = 2,
  kHead = 3,
  kStudent = 4,
  kSamples = 5,
  kAveraging = 6
};
std::uint64_t seed_of(const Job& job, Stream stream, std::uint64_t index = 0);

// Runs a stage between the events stage_started and stage_finished and adds its seconds to those
// of earlier attempts. Throws Stopped before it if the run was asked to stop.
void timed_stage(const Run& run, const std::string& name, const std::function<void()>& work);
std::map<std::string, double> stage_seconds(const Run& run);  // of all attempts so far

// Whose run a folder holds: the first to ask has it from then on, others are refused (JobError).
// "simulate" stands for a job wherever it runs.
void claim(const RunFolder& folder, const std::string& program);

// Holds what an earlier attempt finished against the recorded sha256. Throws DecodeError.
void check_recorded(const std::filesystem::path& file, const std::string& recorded);

}  // namespace fedstill
