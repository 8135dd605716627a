#include "launch/run_folder.h"

#include <ctime>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "launch/input.h"
#include "launch/job_file.h"
#include "launch/json_complaint.h"
#include "launch/outside_text.h"
#include "launch/settings.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/strict_json.h"
#include "model/text_file.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxStateBytes = std::size_t{64} << 20;

// create_directories says only that it failed, not where; this names the path.
void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw std::system_error(error, "[run] cannot create " + path.string());
}

FolderLock lock_folder(const fs::path& folder) {
  return {folder, "[run]", "another fedstill is using this run folder"};
}

// True if this call made the folder: of two runs that want the same name, one comes second.
bool claim(const fs::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  const bool created = !error && fs::create_directory(folder, error);
  if (error) throw std::system_error(error, "[run] cannot create " + folder.string());
  return created;
}

void check_holds_no_run(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / "job.toml", ignored)) return;
  throw JobError("[run] " + folder.string() + " already holds a run; fedstill inspect " +
                 folder.string() +
                 " tells how to go on (--resume, of ranks the same --run); or give another --run");
}

void check_unused(const fs::path& folder) {
  check_holds_no_run(folder);
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename() == "lock") continue;  // of an attempt that failed
    throw JobError("[run] " + folder.string() + " is not empty; give another --run");
  }
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// NAME.tmp.PROCESS.COUNTER, as write_file_atomically calls what is not finished.
bool is_unfinished(const std::string& name) {
  const auto mark = name.rfind(".tmp.");
  if (mark == std::string::npos) return false;
  const auto numbers = std::string_view(name).substr(mark + 5);
  const auto dot = numbers.find('.');
  return dot != std::string_view::npos && is_number(numbers.substr(0, dot)) &&
         is_number(numbers.substr(dot + 1));
}

// What a killed process was writing; nobody else writes here while the lock is held.
void sweep(const fs::path& folder) {
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && is_unfinished(entry.path().filename().string())) {
      unfinished.push_back(entry.path());
    }
  }
  for (const auto& path : unfinished) fs::remove(path);
}

// Somebody's job file alone makes no run of the folder it lies in.
void check_is_run(const fs::path& folder) {
  require_folder(folder);
  std::error_code ignored;
  if (!fs::exists(folder / "job.toml", ignored)) {
    throw JobError("[run] " + folder.string() + " holds no run: job.toml is missing");
  }
  if (fs::exists(folder / "lock", ignored) && fs::is_directory(folder / "state", ignored)) return;
  throw JobError("[run] " + folder.string() +
                 " holds a job.toml but no run: lock or state is missing; a new run takes the job "
                 "file and another folder");
}

// The settings that results depend on, each as TOML writes it.
nlohmann::json begun_with(Job job) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& setting : settings_of(job)) {
    if (setting.changes_result) out[setting.name()] = toml_value(setting);
  }
  return out;
}

// What is finished was made with the job of the beginning. A run of an older fedstill does not say.
void check_began_with(const RunFolder& run, const Job& job) {
  const nlohmann::json found = begun_with(job);
  run.recall("begun", [&](const nlohmann::json& saved) {
    for (const auto& [name, value] : found.items()) {
      if (!saved.contains(name) || saved.at(name) == value) continue;
      throw JobError("[run] " + run.file("job.toml").string() +
                     " is not the job that the run began with: " + name + " = " +
                     value.get<std::string>() + ", it began with " +
                     shown(saved.at(name).get<std::string>()));
    }
  });
}

}  // namespace

RunFolder RunFolder::create(const fs::path& folder, const Job& job) {
  const bool created = claim(folder);
  if (!created) check_unused(folder);
  return begin(folder, created, job);
}

RunFolder RunFolder::create_default(const Job& job) {
  for (;;) {
    const fs::path folder = default_run_folder();
    if (claim(folder)) return begin(folder, true, job);
  }
}

RunFolder RunFolder::begin(const fs::path& folder, bool created, const Job& job) {
  RunFolder run(folder, lock_folder(folder));  // if this fails the folder is another run's
  check_holds_no_run(folder);
  try {
    for (const char* part : {"clients", "cache", "state"}) make_folder(folder / part);
    run.remember("begun", begun_with(job));
    write_file_atomically(run.file("job.toml"), write_job(job));
  } catch (...) {
    std::error_code ignored;
    if (created) fs::remove_all(folder, ignored);
    throw;
  }
  return run;
}

RunFolder RunFolder::reopen(const fs::path& folder, Job& job) {
  check_is_run(folder);
  RunFolder run(folder, lock_folder(folder));
  sweep(folder);
  apply_job_file(job, run.file("job.toml"));
  check_began_with(run, job);
  return run;
}

RunFolder RunFolder::of_rank(const fs::path& folder, const Job& job, bool resumed) {
  std::error_code ignored;
  // A rank that was done has thrown away what rank 0 had from it.
  const bool goes_on = resumed && fs::is_directory(folder / "state", ignored);
  if (!goes_on) {
    fs::remove_all(folder);
    return create(folder, job);
  }
  Job theirs;
  RunFolder run = reopen(folder, theirs);
  if (write_job(theirs) == write_job(job)) return run;
  throw JobError("[run] " + folder.string() + " is of another job; remove it");
}

RunFolder RunFolder::part(const fs::path& below) const {
  RunFolder part(below.empty() ? path_ : path_ / below, FolderLock());
  for (const char* each : {"clients", "cache", "state"}) make_folder(part.file(each));
  return part;
}

fs::path RunFolder::client(const std::string& name) const {
  fs::path folder = path_ / "clients" / name;
  make_folder(folder);
  return folder;
}

void RunFolder::remember(const std::string& name, const nlohmann::json& value) const {
  const fs::path path = path_ / "state" / (name + ".json");
  make_folder(path.parent_path());
  write_file_atomically(path, json_text(value, 1));
}

std::optional<nlohmann::json> RunFolder::recall(const std::string& name) const {
  return recall_state(path_, name);
}

bool RunFolder::recall(const std::string& name,
                       const std::function<void(const nlohmann::json&)>& take) const {
  const auto value = recall(name);
  if (!value) return false;
  try {
    take(*value);
  } catch (const nlohmann::json::exception& error) {
    throw DecodeError("[run] " + (path_ / "state" / (name + ".json")).string() + ": " +
                      complaint_of(error));
  }
  return true;
}

std::optional<nlohmann::json> recall_state(const fs::path& run, const std::string& name) {
  const fs::path path = run / "state" / (name + ".json");
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  return decode_state(read_text(path, kMaxStateBytes), path.string());
}

nlohmann::json decode_state(std::string_view text, const std::string& origin) {
  return parse_outside_json(text, origin);
}

fs::path default_run_folder() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local);
  fs::path folder = fs::path("runs") / stamp;
  std::error_code ignored;
  for (int i = 2; fs::exists(folder, ignored); ++i) {
    folder = fs::path("runs") / (std::string(stamp) + "-" + std::to_string(i));
  }
  return folder;
}

}  // namespace fedstill
