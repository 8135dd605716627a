#include "launch/stages/run.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "launch/advice.h"
#include "launch/going_on.h"
#include "model/decode_error.h"
#include "model/random.h"
#include "model/sha256.h"
#include "model/strict_json.h"
#include "training/device.h"
#include "training/fit.h"

namespace fedstill {

std::uint64_t seed_of(const Job& job, Stream stream, std::uint64_t index) {
  return derive_key(static_cast<std::uint64_t>(job.run.seed), static_cast<std::uint64_t>(stream),
                    index);
}

// On a GPU each is a stream beside those that the fits open, and few fill it.
int workers_of(const Run& run) {
  constexpr std::int64_t kMostOnDevice = DeviceStream::kMost / 2;
  const std::int64_t asked = run.job.run.workers;
  return static_cast<int>(run.device.is_cpu() ? asked : std::min(asked, kMostOnDevice));
}

void timed_stage(const Run& run, const std::string& name, const std::function<void()>& work) {
  if (run.stop.load()) throw Stopped("[run] stopped before " + name);
  run.events.event("stage_started", {{"stage", name}, {"round", run.round}});
  const auto began = std::chrono::steady_clock::now();
  const auto save_seconds = [&] {
    auto seconds = stage_seconds(run);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began;
    seconds[name] += spent.count();
    run.folder.remember("seconds", seconds);
  };
  try {
    work();
  } catch (const Stopped&) {
    save_seconds();
    throw;
  }
  save_seconds();
  run.events.event(
      "stage_finished",
      {{"stage", name}, {"round", run.round}, {"seconds", stage_seconds(run).at(name)}});
}

std::map<std::string, double> stage_seconds(const Run& run) {
  std::map<std::string, double> seconds;
  run.folder.recall("seconds", [&](const nlohmann::json& saved) { saved.get_to(seconds); });
  return seconds;
}

void claim(const RunFolder& folder, const std::string& program) {
  const bool claimed = folder.recall("program", [&](const nlohmann::json& saved) {
    const std::string found = saved.at("name");
    if (found == program) return;
    throw JobError("[run] " + folder.path().string() + " is a run of " + shown(found) +
                   "; go on with: " + command_that_goes_on(shown(found), folder.path()));
  });
  if (!claimed) folder.remember("program", {{"name", program}});
}

void check_recorded(const std::filesystem::path& file, const std::string& recorded) {
  constexpr const char* kMadeAgain =
      "remove its record in the run's state folder (student.json, bundle.json, client-00.json …), "
      "and --resume makes it again";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw Advised<DecodeError>("[run] " + file.string() + " is missing", kMadeAgain);
  const std::string found = sha256_hex_of_file(file);
  if (found == recorded) return;
  throw Advised<DecodeError>(
      "[run] " + file.string() + ": found sha256 " + found + ", recorded is " + shown(recorded),
      kMadeAgain);
}

}  // namespace fedstill
