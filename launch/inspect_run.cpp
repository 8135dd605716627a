#include "launch/inspect_run.h"

#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "launch/advice.h"
#include "launch/input.h"
#include "launch/job_file.h"
#include "launch/json_complaint.h"
#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/run_folder.h"
#include "model/decode_error.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Of what a run remembers; a value of another type is damage. none: where it remembers nothing.
template <typename T>
T recalled(const fs::path& run, const char* state, const char* key, T none) {
  const auto saved = recall_state(run, state);
  if (!saved) return none;
  try {
    return saved->at(key).get<T>();
  } catch (const json::exception& error) {
    throw DecodeError("[run] " + run.string() + ": " + state + " " + complaint_of(error));
  }
}

std::string rounds_done(const fs::path& run) {
  Job job;
  apply_job_file(job, run / "job.toml");
  const std::size_t done = recalled(run, "averaging", "rounds", std::vector<json>{}).size();
  return std::to_string(done) + " of " + std::to_string(job.averaging.rounds) + " rounds are done";
}

[[noreturn]] void throw_unfinished(const fs::path& run) {
  const std::string program = shown(recalled(run, "program", "name", std::string{}));
  const std::string left =
      program == "fedavg" ? rounds_done(run) : std::string("it has no report.json yet");
  const std::string go_on =
      program.empty() ? "" : "go on with: fedstill " + program + " --resume " + run.string() + "; ";
  throw Advised<JobError>("[run] " + run.string() + " is not finished: " + left,
                          go_on + "inspect reads its single files");
}

}  // namespace

fs::path result_of_run(const fs::path& run) {
  std::error_code ignored;
  for (const char* name : {"report.json", "fedavg.json"}) {
    if (fs::exists(run / name, ignored)) return run / name;
  }
  if (!is_run_folder(run)) {
    throw InputError("[input] " + run.string() + " is a folder, but not of a run",
                     "give a file, or the folder of a run");
  }
  throw_unfinished(run);
}

}  // namespace fedstill
